"""Worker processes that end when their parent does: an orphan could write where the next run writes."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import sys
from concurrent.futures import ProcessPoolExecutor

_PR_SET_PDEATHSIG = 1


def die_with_parent(parent: int) -> None:
    """Be killed as soon as the process `parent`, which started this one, ends. Linux only."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it ended before we asked
        sys.exit(1)


def pool(workers: int) -> ProcessPoolExecutor:
    """A pool of fresh processes, each with one thread of computing, that leaves no orphan behind."""
    spawn = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(workers, spawn, die_with_parent, (os.getpid(),))
