"""The coordinator's message log: what was sent to which site, and what came back.

One JSON line per message in the run's folder. `task` and `digest` are the same ids as in the site's own audit log
(`ceus_models.protocol.message_ids`), so the two can be compared line by line.
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
from ceus_models.protocol.task_id import compute_task_id
from ceus_models.runtime.atomic_files import end_last_line
from server.transport.audit_watch import AnswerNote

FILE = "mirror.jsonl"

LoggedMessage = Mapping[str, Any]
"""event (sent, came, late, lost), at, site, task, study, stage, round, kind; digest and bytes, seconds, fault;
audit, alarm, withdrawn, software."""


def compute_digest(data: bytes) -> str:
    """SHA-256 of an encoded message.

    >>> compute_digest(b"task")[:12]
    '0ebb429fa86d'
    """
    return hashlib.sha256(data).hexdigest()


@dataclass(frozen=True)
class MessageLog:
    """The message log of a run's folder."""

    folder: Path

    def __post_init__(self) -> None:
        """Complete a line that a power cut left unfinished. Raises OSError."""
        end_last_line(self.folder / FILE)

    def on_sent(self, task: Task, site: str, digest: str, size: int) -> None:
        """Log a task that was sent, once per attempt."""
        self._append("sent", task, site, digest=digest, bytes=size)

    def on_answer(self, task: Task, site: str, data: bytes, seconds: float, note: AnswerNote) -> None:
        """Log an answer and its response time."""
        self._append("came", task, site, **_content(data), seconds=round(seconds, 3), **note.as_json())

    def on_late(self, task: Task, site: str, data: bytes, fault: str = "") -> None:
        """Log an answer that came after its round and does not count."""
        self._append("late", task, site, **_content(data), fault=fault)

    def on_lost(self, task: Task, site: str, reason: str) -> None:
        """Log that no answer came."""
        self._append("lost", task, site, fault=reason)

    def read_lines(self) -> Iterator[LoggedMessage]:
        """Read all lines in order."""
        return read_messages(self.folder)

    def _append(self, event: str, task: Task, site: str, **more: object) -> None:
        of = {
            "task": compute_task_id(task),
            "study": task.study,
            "stage": task.stage,
            "round": task.round,
            "kind": task.kind,
        }
        line = json.dumps({"event": event, "at": round(time.time(), 3), "site": site, **of, **more}) + "\n"
        self.folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(self.folder / FILE, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            os.write(handle, line.encode())
        finally:
            os.close(handle)


def read_messages(folder: Path) -> Iterator[LoggedMessage]:
    """Read the message log of a run's folder in order; an incomplete line is skipped."""
    path = folder / FILE
    if not path.exists():
        return
    with path.open("rb") as file:
        for line in file:
            try:
                yield json.loads(line)
            except ValueError:
                continue


def read_page(folder: Path, page: int, size: int) -> tuple[list[tuple[int, LoggedMessage]], int]:
    """Read one page of the log: messages with their line numbers, newest first, and the number of all messages.

    Args:
        page: from 1.
        size: messages per page.
    """
    try:
        lines = (folder / FILE).read_bytes().split(b"\n")[:-1]
    except FileNotFoundError:
        return [], 0
    end = len(lines) - (page - 1) * size
    found = []
    for number in range(end, max(end - size, 0), -1):
        with suppress(ValueError):
            found.append((number, json.loads(lines[number - 1])))
    return found, len(lines)


def _content(data: bytes) -> dict[str, object]:
    return {"digest": compute_digest(data), "bytes": len(data)} if data else {}
