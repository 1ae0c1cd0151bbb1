"""The coordinator's mirror of the sites' audits: what was sent to whom, and what came back, by the same ids.

One JSON line a letter in the run's folder. `task` and `digest` are what the site's own audit calls them
(`ceus_models.protocol.message_ids`), so any line here can be laid beside the line there.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ceus_models.protocol.messages import Task
from ceus_models.protocol.task_id import asked_id
from ceus_models.runtime.atomic_files import end_last_line

_FILE = "mirror.jsonl"

Letter = Mapping[str, Any]
"""event (sent, came, late, lost), at, site, task, study, stage, round, kind; digest and bytes, seconds, fault."""


def digest_of(data: bytes) -> str:
    """SHA-256 of a message as it travels."""
    return hashlib.sha256(data).hexdigest()


@dataclass(frozen=True)
class Mirror:
    """folder: the run's."""

    folder: Path

    def __post_init__(self) -> None:
        """Mend what a power cut left. Raises OSError."""
        end_last_line(self.folder / _FILE)

    def sent(self, task: Task, site: str, digest: str, size: int) -> None:
        """A task was sent; again for every attempt."""
        self._append("sent", task, site, digest=digest, bytes=size)

    def came(self, task: Task, site: str, data: bytes, seconds: float, fault: str = "") -> None:
        """An answer came, so long after the question. fault: why it was none."""
        self._append("came", task, site, **_content(data), seconds=round(seconds, 3), fault=fault)

    def late(self, task: Task, site: str, data: bytes, fault: str = "") -> None:
        """An answer came after its round, and does not count."""
        self._append("late", task, site, **_content(data), fault=fault)

    def lost(self, task: Task, site: str, reason: str) -> None:
        """No answer came."""
        self._append("lost", task, site, fault=reason)

    def lines(self) -> Iterator[Letter]:
        """All that is written, in order."""
        return letters(self.folder)

    def _append(self, event: str, task: Task, site: str, **more: object) -> None:
        of = {"task": asked_id(task), "study": task.study, "stage": task.stage, "round": task.round, "kind": task.kind}
        line = json.dumps({"event": event, "at": round(time.time(), 3), "site": site, **of, **more}) + "\n"
        self.folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(self.folder / _FILE, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            os.write(handle, line.encode())
        finally:
            os.close(handle)


def letters(folder: Path) -> Iterator[Letter]:
    """All that the mirror of a run's folder holds, in order; half a line is passed over, nothing is mended."""
    path = folder / _FILE
    if not path.exists():
        return
    with path.open("rb") as file:
        for line in file:
            try:
                yield json.loads(line)
            except ValueError:
                continue


def leaf(folder: Path, page: int, size: int) -> tuple[list[tuple[int, Letter]], int]:
    """The letters of a page with their numbers in the file, newest first, and how many letters there are.

    page: from 1 · size: letters a page.
    """
    try:
        lines = (folder / _FILE).read_bytes().split(b"\n")[:-1]
    except FileNotFoundError:
        return [], 0
    end = len(lines) - (page - 1) * size
    found = []
    for number in range(end, max(end - size, 0), -1):
        with suppress(ValueError):
            found.append((number, json.loads(lines[number - 1])))
    return found, len(lines)


def _content(data: bytes) -> dict[str, object]:
    return {"digest": digest_of(data), "bytes": len(data)} if data else {}
