"""Worker processes that one bad item cannot stop: a crash, a hang or too much memory costs the item at hand only.

A worker has one item at a time, so memory does not grow with their number. Workers end with the process that started
them, however it ends, and what libraries print in them (file names, bytes of files) goes nowhere.
"""

from __future__ import annotations

import math
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from itertools import islice
from multiprocessing.connection import Connection, wait
from typing import Generic, TypeVar

import cv2
import psutil

from ceus_models.runtime.child_processes import die_with_parent
from ceus_models.runtime.errors import ExpectedError, list_calls

Item = TypeVar("Item")
Result = TypeVar("Result")

_POLL_S = 0.1
_READY = "ready"
_STARTS = 3
"""How often a process may end before it is ready: where memory was short for a moment, the next one starts."""
_START_S = 300.0
"""A process that is not ready by then hangs (a library on a share that is gone) and is ended."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Of one worker: seconds for an item, and bytes of resident memory."""

    seconds: float = 300.0
    memory_bytes: int = 2 << 30


LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class LostItem:
    """An item without a result.

    Attributes:
        reason: Slug of the fault catalogue.
        detail: What happened, without the error's text.
    """

    reason: str
    detail: str


def map_items(
    work: Callable[[Item], Result], items: Iterable[Item], workers: int, limits: Limits = LIMITS
) -> Generator[tuple[Item, Result | LostItem], None, None]:
    """Every item with its result, in the order in which they are finished. Close it to end the workers at once.

    Args:
        work: A picklable function of a module that is not the main one, whose result is not None; what it raises loses
            the item.
        items: Taken one by one as workers become free.
        workers: Number of processes; 0 works in this process, where only exceptions are caught.

    Raises:
        RuntimeError: A worker process cannot start.
    """
    if workers < 1:
        yield from ((item, _attempt(work, item)) for item in items)
        return
    left = iter(items)
    hire = partial(_Worker, work, limits)
    crew: list[_Worker[Item, Result]] = []
    try:
        for item in islice(left, workers):
            crew.append(hire())
            crew[-1].assign(item)
        while crew:
            yield from _collect_finished(crew, left, hire)
    finally:
        for worker in crew:
            worker.end()


def map_trusted(
    work: Callable[[Item], Result], items: Iterable[Item], workers: int
) -> Generator[tuple[Item, Result], None, None]:
    """As `map_items`, for our own work, which has no limits and may not fail: what it raises is raised here.

    Raises ExpectedError where a worker process is ended from outside, as when the machine has no memory left.
    """
    for item, outcome in map_items(_CatchErrors(work), items, max(1, workers), Limits(math.inf, sys.maxsize)):
        if isinstance(outcome, LostItem):
            raise ExpectedError(
                f"a worker process ended before its work was done ({outcome.detail}); give the machine more memory or "
                "the command fewer workers, and start it again: it goes on from here"
            )
        if isinstance(outcome, _CaughtError):
            raise outcome.error
        yield item, outcome


def _collect_finished(
    crew: list[_Worker[Item, Result]], left: Iterable[Item], hire: Callable[[], _Worker[Item, Result]]
) -> Iterator[tuple[Item, Result | LostItem]]:
    """What is finished after a short wait; who finished it goes on with the next item."""
    ready = wait([worker.pipe for worker in crew], _POLL_S)
    for worker in list(crew):
        outcome = worker.poll(worker.pipe in ready)
        if outcome is not None:
            done = worker.item
            _assign_next(crew, crew.index(worker), left, hire)
            yield done, outcome


def _assign_next(
    crew: list[_Worker[Item, Result]], place: int, left: Iterable[Item], hire: Callable[[], _Worker[Item, Result]]
) -> None:
    """The next item for a worker that is done, or for one in its place; without an item the place is given up."""
    for item in islice(left, 1):
        if not crew[place].process.is_alive():
            crew[place] = hire()
        crew[place].assign(item)
        return
    crew.pop(place).end()


class _Worker(Generic[Item, Result]):
    """One process and the item that it has. It says `_READY` before it takes the first one."""

    def __init__(self, work: Callable[[Item], Result], limits: Limits) -> None:
        self._work, self._limits = work, limits
        self._since: float | None = None
        self._starts = 0
        self._start()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=_run_worker, args=(theirs, self._work, os.getpid()), daemon=True)
        with _hide_main_module():
            self.process.start()
        theirs.close()
        self._starts += 1
        self._began = time.monotonic()

    def assign(self, item: Item) -> None:
        self.item = item
        self._since = None if self._since is None else time.monotonic()
        if self._since is not None:
            self._send()

    def _send(self) -> None:
        with suppress(OSError):  # a process that just died: its pipe tells
            self.pipe.send(self.item)

    def poll(self, heard: bool) -> Result | LostItem | None:
        """What became of the item, None while it is at work; a process that passed a limit is ended."""
        if heard:
            return self._receive()
        if self._since is None:
            if time.monotonic() - self._began > _START_S:
                self.process.kill()  # its pipe tells
            return None
        if time.monotonic() - self._since > self._limits.seconds:
            return self._stop("reading-too-long", f"more than {self._limits.seconds:g} s")
        if _read_resident_bytes(self.process.pid) > self._limits.memory_bytes:
            return self._stop("reading-too-large", f"more than {self._limits.memory_bytes >> 20} MiB")
        return None

    def _receive(self) -> Result | LostItem | None:
        try:
            said: Result | LostItem = self.pipe.recv()
        except (EOFError, OSError):
            self.process.join()
            if self._since is not None:
                return LostItem("reading-crashed", _describe_exit(self.process.exitcode))
            if self._starts == _STARTS:
                raise RuntimeError("a worker process cannot start") from None
            self.pipe.close()
            self._start()
            return None
        if self._since is not None:
            return said
        self._since = time.monotonic()
        self._send()
        return None

    def _stop(self, reason: str, detail: str) -> LostItem:
        self.end()
        return LostItem(reason, detail)

    def end(self) -> None:
        self.process.kill()
        self.process.join()
        self.pipe.close()


@contextmanager
def _hide_main_module() -> Iterator[None]:
    """A spawned process imports the main module once more: with a command line's come libraries for training, which
    cost each worker seconds and half a gigabyte. So `work` may not be defined in the main module itself.
    """
    main = vars(sys.modules["__main__"])
    seen: dict[str, object] = {name: main[name] for name in ("__spec__", "__file__") if name in main}
    main.update(dict.fromkeys(seen))
    try:
        yield
    finally:
        main.update(seen)


def _describe_exit(code: int | None) -> str:
    return f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"


def _read_resident_bytes(pid: int | None) -> int:
    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.Error:
        return 0  # it ended: its pipe tells


def _attempt(work: Callable[[Item], Result], item: Item) -> Result | LostItem:
    try:
        return work(item)
    except MemoryError:
        return LostItem("reading-too-large", "memory that the machine does not have")
    except Exception as error:  # any: its text may quote the file, so only its type and our line pass
        return LostItem("reading-failed", f"{type(error).__name__} at {list_calls(error)[-1]}")


@dataclass(frozen=True, slots=True)
class _CatchErrors(Generic[Item, Result]):
    """Work whose exception is handed on as a result."""

    work: Callable[[Item], Result]

    def __call__(self, item: Item) -> Result | _CaughtError:
        try:
            return self.work(item)
        except Exception as error:
            return _CaughtError(error)


@dataclass(frozen=True, slots=True)
class _CaughtError:
    error: Exception


def _run_worker(pipe: Connection, work: Callable[[Item], Result], parent: int) -> None:
    """A worker's life: it ends when nobody listens any more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; who started us ends us
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    die_with_parent(parent)
    _silence_libraries()
    cv2.setNumThreads(1)
    pipe.send(_READY)
    while True:
        try:
            item = pipe.recv()
        except EOFError:
            return
        pipe.send(_attempt(work, item))


def _silence_libraries() -> None:
    """Libraries print what they dislike of a file to the descriptors, past sys.stderr."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for descriptor in (1, 2):
        os.dup2(nowhere, descriptor)
    os.close(nowhere)
