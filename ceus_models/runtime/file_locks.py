"""Locks on files and folders, which end with the process that holds them."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ceus_models.runtime.atomic_files import PUBLIC, inherit_owner
from ceus_models.runtime.errors import ExpectedError

_WAIT_S = 3.0
"""A process that only checks a lock holds it for a moment."""


@contextmanager
def hold_lock(
    path: Path, busy: ExpectedError, wait_s: float = _WAIT_S, shared: bool = False, mode: int = PUBLIC
) -> Iterator[int]:
    """Hold the lock of a folder, or of a file, which is made if needed, and yield its descriptor.

    Args:
        path: of the file or folder.
        busy: the error if another process still holds the lock after `wait_s`.
        wait_s: seconds.
        shared: whether the lock is shared with other readers.
        mode: permissions of a new file.

    Raises:
        ExpectedError: `busy`.
        OSError: the path cannot be opened.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR | os.O_CREAT, mode)
    try:
        inherit_owner(path)
        end = time.monotonic() + wait_s
        while not _try_lock(handle, fcntl.LOCK_SH if shared else fcntl.LOCK_EX):
            if time.monotonic() > end:
                raise busy
            time.sleep(0.01)
        yield handle
    finally:
        os.close(handle)


def is_held(path: Path) -> bool:
    """Whether a process holds the lock at `path`."""
    if not path.exists():
        return False
    with path.open() as lock:
        return not _try_lock(lock.fileno(), fcntl.LOCK_SH)


def _try_lock(handle: int, kind: int) -> bool:
    try:
        fcntl.flock(handle, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
