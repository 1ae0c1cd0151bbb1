"""Progress of a long command on standard error: a bar on a terminal, else a line every few seconds.

Ctrl-C and SIGTERM end the command with exit code 130; the same command resumes it.
"""

from __future__ import annotations

import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from ceus_models.runtime.humanize import format_duration
from ceus_models.runtime.language.reader_language import translate

OnProgress = Callable[[int, int], None]
"""Called with the number of items done and in all."""

_LINE_S = 5.0
_RECENT_S = 120.0
"""The remaining time is estimated from this long: items that come from the cache at the start take no time."""


@contextmanager
def show_progress(what: str, quiet: bool = False) -> Iterator[OnProgress]:
    """Yield a callback that shows the progress of the work named `what`."""
    console = Console(stderr=True)
    with stop_on_sigterm():
        if quiet:
            yield _ignore_progress
        elif console.is_terminal:
            with _show_bar(what, console) as on_progress:
                yield on_progress
        else:
            yield ProgressLines(what, sys.stderr)


@contextmanager
def stop_on_sigterm() -> Iterator[None]:
    """Handle SIGTERM as Ctrl-C."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


class ProgressLines:
    """A line every few seconds, and one at the end."""

    def __init__(self, what: str, out: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        """Print lines about the work named `what` to `out`; `clock` gives seconds."""
        self._what, self._out, self._clock = what, out, clock
        self._printed = clock()
        self._recent = deque([(self._printed, 0)])

    def __call__(self, done: int, total: int) -> None:
        """Print a line if the last one is old enough."""
        now = self._clock()
        self._recent.append((now, done))
        while len(self._recent) > 2 and now - self._recent[0][0] > _RECENT_S:
            self._recent.popleft()
        if done < total and now - self._printed < _LINE_S:
            return
        self._printed = now
        line = f"{translate(self._what)}: {done} of {total}{self._format_remaining(done, total)}"
        print(translate(line), file=self._out, flush=True)

    def _format_remaining(self, done: int, total: int) -> str:
        first, last = self._recent[0], self._recent[-1]
        if done == total or last[1] == first[1] or last[0] <= first[0]:
            return ""
        return f", about {format_duration((total - done) * (last[0] - first[0]) / (last[1] - first[1]))} left"


@contextmanager
def _show_bar(what: str, console: Console) -> Iterator[OnProgress]:
    shown, left = TextColumn(translate(what)), TextColumn(translate("left"))
    columns = (shown, BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), left)
    with Progress(*columns, TimeRemainingColumn(), console=console, transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, count: bar.update(task, completed=done, total=count)


def _ignore_progress(done: int, total: int) -> None:
    pass
