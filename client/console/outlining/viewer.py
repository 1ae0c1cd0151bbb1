"""The clips of a lesion in a process of their own: a file that ends or hangs its decoder costs this lesion only.

The panes lie in nameless files of the site's work folder and are gone when the process ends.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.process import parent_process
from typing import Any, TypeVar

import cv2
import psutil

from ceus_models.runtime.errors import ExpectedError
from ceus_models.study.processing import Processing
from client.console.outlining.cases import Case
from client.console.outlining.playback import ClipFacts, Playback
from client.data.dataset.worker_pool import LIMITS, Limits
from client.data.forms.site_config import SiteConfig
from client.data.imaging.recording import F64
from client.data.outlines.outline import Outline

Result = TypeVar("Result")
Call = tuple[str, tuple[Any, ...]]
"""A method of Playback and its arguments."""

_ANSWER_S = 60.0
_LOST = "the reading of this lesion's clips ended; open the lesion again, and if it ends again, export the clips anew"
_child: list[Playback] = []
"""Of the child process: its one opened lesion."""


class Viewer:
    """One child process and the lesion that it opened. All methods may be called by several threads."""

    def __init__(self, case: Case, site: SiteConfig, limits: Limits = LIMITS) -> None:
        """Start to read the clips."""
        self.case, self._limits, self._began = case, limits, time.monotonic()
        self._pool = ProcessPoolExecutor(1, get_context("spawn"), initializer=_begin)
        self._pid = self._pool.submit(os.getpid)
        self._opening = self._pool.submit(_open, case, site)
        self._traces: dict[int, _Trace] = {}
        self._lock = threading.Lock()
        self.closed = False

    def is_ready(self) -> bool:
        """Whether the clips are read. Raises ExpectedError where they cannot be."""
        self._keep_limits()
        return self._opening.done() and bool(_result(self._opening, 0.0))

    def facts(self) -> ClipFacts:
        """Wait for the clips, and tell what a page must know of them. Raises ExpectedError."""
        while not self.is_ready():
            time.sleep(0.02)
        return _result(self._opening, 0.0)

    def draw_frame(self, number: int) -> bytes:
        """See Playback. Raises IndexError, ExpectedError."""
        picture: bytes = self._ask(("draw_frame", (number,)))
        return picture

    def draw_screen(self, frame: int) -> bytes:
        """See Playback. Raises ExpectedError."""
        picture: bytes = self._ask(("draw_screen", (frame,)))
        return picture

    def place_on_screen(self, polygon: F64, frame: int, pane: str) -> Outline:
        """See Playback. Raises ExpectedError."""
        outline: Outline = self._ask(("place_on_screen", (polygon, frame, pane)))
        return outline

    def measure_place(self, place: tuple[float, float], radius_px: float, processing: Processing) -> list[float | None]:
        """See Playback. Raises ExpectedError."""
        means: list[float | None] = self._ask(("measure_place", (place, radius_px, processing)))
        return means

    def start_trace(self, line: int, polygon: F64, frame: int, course: Case, processing: Processing) -> int:
        """Follow an outline in the background; the number of the trace. An earlier one of the line is given up."""
        number: int = self._ask(("trace", (polygon, frame, course, processing)), _start)
        with self._lock:
            self._traces[line] = _Trace(number, time.monotonic())
        return number

    def read_trace(self, line: int) -> dict[str, Any]:
        """`state` is none, working (with `for_s`), failed (with `message`) or done (with what Playback.trace found)."""
        with self._lock:
            trace = self._traces.get(line)
        if trace is None:
            return {"state": "none"}
        if trace.answer is None:
            trace.answer = self._ask(("", (trace.number,)), _poll)
        if trace.answer is None:
            return {"state": "working", "for_s": time.monotonic() - trace.began}
        return trace.answer

    def close(self) -> None:
        """End the process; its pictures are gone with it."""
        self.closed = True
        with suppress(Exception):
            os.kill(self._pid.result(timeout=10.0), signal.SIGKILL)
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _ask(self, call: Call, work: Callable[[Call], Any] | None = None) -> Any:
        self._keep_limits()
        try:
            future = self._pool.submit(work or _call, call)
        except RuntimeError:  # the process was ended, or the pool was
            raise ExpectedError(_LOST) from None
        return _result(future, _ANSWER_S)

    def _keep_limits(self) -> None:
        """Ends a process that reads for too long, or needs too much memory. Raises ExpectedError once it is ended."""
        if self.closed:
            raise ExpectedError(_LOST)
        if not self._pid.done() or self._pid.exception() is not None:
            return
        late = not self._opening.done() and time.monotonic() - self._began > self._limits.seconds
        if late or _read_memory(self._pid.result()) > self._limits.memory_bytes:
            self.close()
            raise ExpectedError(
                f"the clips of a lesion are read within {self._limits.seconds:g} s and "
                f"{self._limits.memory_bytes >> 20} MiB of memory, these were not; export them as shorter clips"
            )


@dataclass
class _Trace:
    number: int
    began: float
    answer: dict[str, Any] | None = field(default=None)


def _result(future: Future[Result], within_s: float) -> Result:
    """Raises ExpectedError for whatever a file did to its process."""
    try:
        return future.result(timeout=within_s)
    except (ExpectedError, IndexError):
        raise
    except TimeoutError:
        raise ExpectedError("the clips of this lesion take too long to answer; open the lesion again") from None
    except Exception:  # a broken process, or an error whose text may quote the file
        raise ExpectedError(_LOST) from None


def _read_memory(pid: int) -> int:
    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.Error:
        return 0


def _begin() -> None:
    """Of the child: it ends with the console, and what libraries print of a file goes nowhere."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # not by the kernel's signal: that one comes when the thread ends which started the process
    threading.Thread(target=_end_with_parent, daemon=True).start()
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for descriptor in (1, 2):
        os.dup2(nowhere, descriptor)
    cv2.setNumThreads(1)


def _end_with_parent() -> None:
    console = parent_process()
    if console is not None:
        console.join()
    os._exit(1)


def _open(case: Case, site: SiteConfig) -> ClipFacts:
    try:
        _child.append(Playback.open(case, site))
    except ExpectedError:
        raise
    except Exception as error:  # a file odd enough to trip a decoder; its text may quote the file
        raise ExpectedError(
            f"the clips of a lesion can be read, found files that cannot ({type(error).__name__}); export them again"
        ) from None
    return _child[0].facts()


def _call(call: Call) -> Any:
    name, arguments = call
    return getattr(_child[0], name)(*arguments)


_answers: dict[int, dict[str, Any] | None] = {}
"""Of the child: number of a trace → what it found, None while it is at work."""
_turn = threading.Lock()
"""Of the child: one outline is followed at a time."""


def _start(call: Call) -> int:
    number = len(_answers)
    _answers[number] = None
    threading.Thread(target=_work, args=(number, call), daemon=True).start()
    return number


def _work(number: int, call: Call) -> None:
    with _turn:
        _answers[number] = _follow(call) if number == max(_answers) else {"state": "none"}  # another one came since


def _follow(call: Call) -> dict[str, Any]:
    try:
        return {"state": "done", **_call(call)}
    except ExpectedError as error:
        return {"state": "failed", "message": str(error)}
    except Exception as error:
        return {"state": "failed", "message": f"the outline cannot be followed ({type(error).__name__})"}


def _poll(call: Call) -> dict[str, Any] | None:
    (number,) = call[1]
    answer = _answers[number]
    if answer is not None:
        _answers[number] = {"state": "none"}  # told once; kept by the one who asked
    return answer
