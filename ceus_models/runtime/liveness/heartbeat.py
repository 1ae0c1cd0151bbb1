"""Heartbeat: a small file that a process updates regularly, with its current activity.

A lock shows that a process exists, not that it makes progress: a process that hangs or is stopped keeps its lock.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ceus_models.runtime.liveness.moment import Moment, compute_age, read_clock

SILENT_S = 45.0
"""A process without a heartbeat for this long is reported as dead."""
_EVERY_S = 1.0
_SIZE = 4096


@dataclass(frozen=True)
class HeartbeatRecord:
    """One heartbeat. at: its time; since: the beginning of the activity."""

    at: Moment
    doing: str
    since: Moment
    pid: int


class Heartbeat:
    """The heartbeat in one file: written by its process, read by any other."""

    def __init__(self, path: Path) -> None:
        """Nothing is written yet."""
        self._path = path
        self._doing: str | None = None
        self._since = Moment(0.0)
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
        now = read_clock()
        if changed or self._doing is None:
            self._doing, self._since = doing or "", now
        said = {"doing": self._doing[: _SIZE // 8], "since": asdict(self._since), "at": asdict(now), "pid": os.getpid()}
        with suppress(OSError):
            self._write(said)

    @contextmanager
    def keep_beating(self, doing: str) -> Iterator[None]:
        """Beat by a thread during a long computation, which cannot do so itself."""
        over = threading.Event()

        def beat() -> None:
            self.beat(doing)
            while not over.wait(_EVERY_S):
                self.beat()

        thread = threading.Thread(target=beat, name="heartbeat")
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def last(self) -> HeartbeatRecord | None:
        """Read the last heartbeat; None without one."""
        try:
            said = json.loads(self._path.read_bytes())
            return HeartbeatRecord(_read(said["at"]), str(said["doing"]), _read(said["since"]), int(said["pid"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def clear(self) -> None:
        """Delete the heartbeat of an earlier process."""
        self._path.unlink(missing_ok=True)

    def _write(self, said: dict[str, object]) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(self._path, os.O_WRONLY | os.O_CREAT, 0o644)
        try:
            os.pwrite(file, json.dumps(said).encode().ljust(_SIZE), 0)
        finally:
            os.close(file)


def is_silent(beat: HeartbeatRecord | None, since: Moment, now: Moment, silent_s: float = SILENT_S) -> bool:
    """Whether heartbeats of a process that should run since `since` are missing for `silent_s`; unknown ages are.

    >>> is_silent(None, Moment(100.0), Moment(160.0), silent_s=45.0)
    True

    A moment has milliseconds, so a limit of zero is reached at once.

    >>> is_silent(None, Moment(100.0), Moment(100.0), silent_s=0.0)
    True
    """
    ages = [compute_age(then, now) for then in (beat.at if beat else since, since)]
    return all(age is None or age >= silent_s for age in ages)


def _read(said: Any) -> Moment:
    return Moment(float(said["at"]), float(said["running"]), str(said["boot"]))
