"""Processes that end when the one that started them does: an orphan could write where the next run writes."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
from multiprocessing.process import parent_process

_PR_SET_PDEATHSIG = 1


def die_with_parent(parent: int) -> None:
    """Be killed as soon as the process `parent`, which started this one, ends."""
    if sys.platform != "linux":
        threading.Thread(target=_follow, daemon=True).start()
        return
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it ended before we asked
        os._exit(1)


def _follow() -> None:
    starter = parent_process()
    if starter is not None:
        starter.join()
    os._exit(1)
