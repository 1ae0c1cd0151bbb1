"""File locks that are released when their process ends in any way."""

from __future__ import annotations

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ceus_models.runtime.errors import ExpectedError

_WAIT_S = 3.0  # a process that only checks the lock holds it for a moment


@contextmanager
def exclusive(path: Path, taken: str) -> Iterator[None]:
    """Hold the lock at `path`. Raises ExpectedError with the text `taken` if another process has it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lock:
        end = time.monotonic() + _WAIT_S
        while not _locked(lock.fileno(), fcntl.LOCK_EX):
            if time.monotonic() > end:
                raise ExpectedError(taken)
            time.sleep(0.05)
        yield


def is_held(path: Path) -> bool:
    """Whether a living process holds the lock at `path`."""
    if not path.exists():
        return False
    with path.open() as lock:
        return not _locked(lock.fileno(), fcntl.LOCK_SH)


def _locked(file: int, kind: int) -> bool:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
