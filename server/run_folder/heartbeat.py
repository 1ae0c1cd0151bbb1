"""Heartbeat: a small file that a process updates regularly, with its current activity.

A lock shows that a process exists, not that it makes progress: a process that hangs or is stopped keeps its lock.
"""

from __future__ import annotations

import json
import os
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

SILENT_S = 45.0
"""A process without a heartbeat for this long is reported as dead."""
COORDINATOR = ".coordinator.pulse"
_EVERY_S = 1.0
_SIZE = 1024


@dataclass(frozen=True)
class Beat:
    """One heartbeat. at: its time; since: the beginning of the activity (both in seconds since 1970)."""

    at: float
    doing: str
    since: float
    pid: int


class Pulse:
    """The heartbeat in one file: written by its process, read by any other."""

    def __init__(self, path: Path) -> None:
        """Nothing is written yet."""
        self._path = path
        self._doing: str | None = None
        self._due = 0.0

    def beat(self, doing: str | None = None) -> None:
        """Write a heartbeat with the current activity (None: unchanged). Cheap enough to be called often.

        A file of constant size is overwritten in place, which works on a full disk; other file errors are ignored,
        because a missing heartbeat is no reason to stop.
        """
        changed = doing is not None and doing != self._doing
        if not changed and time.monotonic() < self._due:
            return
        self._due = time.monotonic() + _EVERY_S
        with suppress(OSError):
            if changed or self._doing is None:
                self._doing = doing or ""
                self._write({"doing": self._doing[: _SIZE // 8], "since": round(time.time(), 1), "pid": os.getpid()})
            else:
                os.utime(self._path)

    def last(self) -> Beat | None:
        """Read the last heartbeat; None without one."""
        try:
            said = json.loads(self._path.read_bytes())
            return Beat(self._path.stat().st_mtime, str(said["doing"]), float(said["since"]), int(said["pid"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def forget(self) -> None:
        """Delete the heartbeat of an earlier process."""
        self._path.unlink(missing_ok=True)

    def _write(self, said: dict[str, object]) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(self._path, os.O_WRONLY | os.O_CREAT, 0o644)
        try:
            os.pwrite(file, json.dumps(said).encode().ljust(_SIZE), 0)
        finally:
            os.close(file)
