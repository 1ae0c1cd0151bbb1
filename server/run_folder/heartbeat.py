"""A sign of life: a small file that a process touches again and again, and that says what it is doing.

A lock tells that a process exists, not that it gets on: one that hangs, or is stopped, keeps its lock for ever.
"""

from __future__ import annotations

import json
import os
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

SILENT_S = 45.0
"""A process that should live and said nothing for so long is told to be dead: within a minute for who looks."""
COORDINATOR = ".coordinator.pulse"
_EVERY_S = 1.0
_SIZE = 1024


@dataclass(frozen=True)
class Beat:
    """at, since: seconds since 1970, of the last sign of life and of the beginning of what it was doing."""

    at: float
    doing: str
    since: float
    pid: int


class Pulse:
    """The pulse in one file: its process beats, anybody may look."""

    def __init__(self, path: Path) -> None:
        """Nothing is written yet."""
        self._path = path
        self._doing: str | None = None
        self._due = 0.0

    def beat(self, doing: str | None = None) -> None:
        """This process lives, and does this (None: the same as before). As cheap as it must be to be called often.

        A file of one size is overwritten in place, which a full disk does not hinder; what hinders it is no reason to
        end, so an error of the file system is left to whoever must write something that counts.
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
        """The last sign of life; None if there was none."""
        try:
            said = json.loads(self._path.read_bytes())
            return Beat(self._path.stat().st_mtime, str(said["doing"]), float(said["since"]), int(said["pid"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def forget(self) -> None:
        """An earlier process's signs are of no use to the next."""
        self._path.unlink(missing_ok=True)

    def _write(self, said: dict[str, object]) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(self._path, os.O_WRONLY | os.O_CREAT, 0o644)
        try:
            os.pwrite(file, json.dumps(said).encode().ljust(_SIZE), 0)
        finally:
            os.close(file)
