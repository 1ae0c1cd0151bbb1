"""The site's audit: JSON lines, each of which holds a hash over itself and over the hash of the line before.

A second file, the head, holds the number, hash and place of the last entry, so that entries cut off the end are missed
too. Each line is on the disk before the head says so; whatever stops a write in the middle leaves at most one line
beyond the head, which the next write completes or removes, and says so.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ceus_models.runtime.atomic_files import PRIVATE, inherit_owner, write_atomically
from ceus_models.runtime.errors import ExpectedError
from ceus_models.runtime.file_locks import hold_lock

LOG_FILE, HEAD_FILE = "audit.jsonl", "audit.head"
GENESIS = "0" * 64
LOCK_S = 20.0
AUDIT = "audit"
"""Stem of the audit's files; the site's other chained records have their own, in the same folder."""
Kind = Literal[
    "start", "stop", "policy", "approval", "task", "layout", "answer", "refusal",
    "pause", "resume", "withdraw", "rejoin", "forget", "restored", "repair", "opened", "spent", "settled", "masked",
]  # fmt: skip
Entry = dict[str, Any]


class AuditError(ExpectedError):
    """The audit cannot be written, or is not what was written. Nothing leaves the site until that is mended."""


@dataclass(frozen=True)
class Head:
    """number: of the last entry, 0 before the first · hash: of it · size: bytes up to its end."""

    number: int = 0
    hash: str = GENESIS
    size: int = 0

    def line(self) -> bytes:
        """The head file's content."""
        return line_of({"number": self.number, "hash": self.hash, "size": self.size})


def line_of(entry: Mapping[str, Any]) -> bytes:
    """The one way in which an entry is written; any other bytes are a change."""
    text = json.dumps(entry, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return text.encode() + b"\n"


def parse_entry(raw: bytes) -> Entry | None:
    """The entry of a line; None where the line is not exactly what `line_of` writes."""
    try:
        entry = json.loads(raw)
        return entry if isinstance(entry, dict) and line_of(entry) == raw else None
    except (ValueError, RecursionError):
        return None


def hash_of(previous: str, entry: Entry) -> str:
    """SHA-256 over the hash before and the entry's content without its own hash."""
    content = {name: value for name, value in entry.items() if name != "hash"}
    return hashlib.sha256(previous.encode() + b"\n" + line_of(content)).hexdigest()


def read_head(folder: Path, stem: str = AUDIT) -> Head | None:
    """The head file's content; None where it is absent or not as written."""
    try:
        raw = (folder / f"{stem}.head").read_bytes()
    except OSError:
        return None
    entry = parse_entry(raw)
    if entry is None or set(entry) != {"number", "hash", "size"}:
        return None
    head = Head(**entry)
    return head if isinstance(head.number, int) and isinstance(head.size, int) and head.line() == raw else None


def entries(folder: Path, stem: str = AUDIT) -> Iterator[Entry]:
    """All entries that can be read, in the order of the file; nothing is verified. None where there is no audit."""
    try:
        with (folder / f"{stem}.jsonl").open("rb") as file:
            yield from (entry for raw in file if (entry := parse_entry(raw)) is not None)
    except FileNotFoundError:
        return


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


@dataclass(frozen=True)
class Audit:
    """The two files of a folder. Several processes may write: each entry is written under a lock."""

    folder: Path
    clock: Callable[[], datetime.datetime] = _now
    stem: str = AUDIT

    def append(self, kind: Kind, **fields: Any) -> Head:
        """Write one entry, to the disk; the head after it. fields: JSON values of ours; never a lesion's key, a path or
        a name.

        Raises AuditError where it cannot be written, or where the files are not what was written last.
        """
        try:
            with held(self.folder, stem=self.stem) as handle:
                head = self._settle(handle)
                return self._write(handle, head, kind, fields)
        except OSError as error:
            raise AuditError(
                f"{self.stem}.jsonl cannot be written ({error.strerror}); free disk space, or let the worker's user "
                "write to the site's folder of records. Nothing leaves until then"
            ) from None

    def _settle(self, handle: int) -> Head:
        """The head that the next entry follows, after a write that was stopped in the middle is completed or undone."""
        size = os.fstat(handle).st_size
        path = self.folder / f"{self.stem}.head"
        if not size and not path.exists():
            write_atomically(path, Head().line())
        head = read_head(self.folder, self.stem)
        if head is None or size < head.size:
            raise _changed_error(self.stem)
        tail = os.pread(handle, size - head.size, head.size)
        if not tail:
            return head
        follower = follows(head, tail)
        if follower is not None:
            write_atomically(path, follower.line())
            return follower
        if b"\n" in tail:
            raise _changed_error(self.stem)
        os.ftruncate(handle, head.size)
        return self._write(handle, head, "repair", {"torn_bytes": len(tail)})

    def _write(self, handle: int, head: Head, kind: Kind, fields: Mapping[str, Any]) -> Head:
        at = self.clock().astimezone(datetime.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        entry = {"n": head.number + 1, "at": at, "kind": kind, **fields}
        entry["hash"] = hash_of(head.hash, entry)
        line = line_of(entry)
        after = Head(entry["n"], entry["hash"], head.size + len(line))
        try:
            _write_at(handle, line, head.size)
            os.fsync(handle)
            write_atomically(self.folder / f"{self.stem}.head", after.line())
        except OSError:
            with suppress(OSError):
                os.ftruncate(handle, head.size)  # what was not written whole was not written
            raise
        return after


def held(folder: Path, shared: bool = False, stem: str = AUDIT) -> AbstractContextManager[int]:
    """The log, opened and locked. Raises AuditError where another process keeps it, or OSError."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    inherit_owner(folder)
    busy = AuditError(f"another process has held {stem}.jsonl for {LOCK_S:.0f} s; end it, then try again")
    return hold_lock(folder / f"{stem}.jsonl", busy, LOCK_S, shared, PRIVATE)


def follows(head: Head, tail: bytes) -> Head | None:
    """The head after the one whole entry in `tail`; None where it is not one entry that follows `head`."""
    entry = parse_entry(tail)
    if entry is None or entry.get("n") != head.number + 1 or entry.get("hash") != hash_of(head.hash, entry):
        return None
    return Head(entry["n"], entry["hash"], head.size + len(tail))


def _write_at(handle: int, data: bytes, place: int) -> None:
    done = 0
    while done < len(data):
        done += os.pwrite(handle, data[done:], place + done)


def _changed_error(stem: str) -> AuditError:
    return AuditError(
        f"{stem}.jsonl is not what was written last: `ceus-site {stem if stem == AUDIT else 'privacy'} verify` tells "
        f"where. Keep {stem}.jsonl and {stem}.head as evidence; bring both back from the newest backup"
        + (", or let a new audit begin without them and run `ceus-site restored`" if stem == AUDIT else "")
    )
