"""Processes that end with their parent: an orphan could write into the files of the next run."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
from multiprocessing.process import parent_process

_PR_SET_PDEATHSIG = 1


def die_with_parent(parent: int) -> None:
    """Let this process be killed when its parent process ends."""
    if sys.platform != "linux":
        threading.Thread(target=_wait_for_parent, daemon=True).start()
        return
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it ended before we asked
        os._exit(1)


def _wait_for_parent() -> None:
    starter = parent_process()
    if starter is not None:
        starter.join()
    os._exit(1)
