"""The in-memory link: worker processes on this machine answer the coordinator's tasks through shared memory.

A task is written once a round to memory that all workers read, every answer once to memory that the coordinator reads.
The largest site is first; the others go to a free worker, if possible one that has the site open from an earlier round.
Results do not depend on the worker.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
from collections import deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

from ceus_models.protocol.encoding import decode, encode
from ceus_models.protocol.messages import Refusal, Task, Update
from server.rounds.round import Adder, AddingLink, Answer, Link, Lost, PartialRound
from sim.engine.shared_memory import SharedBuffer, SharedView
from sim.engine.worker import SLOTS, SiteOpener, TaskHandler, TaskReply, TaskRequest, run_worker

LARGE_BYTES = 32 << 20
"""Workers do not prepare answers to a larger task ahead: waiting for the reader takes little time beside the work."""


@dataclass(frozen=True)
class PartialLink:
    """A link to all sites of another link except `away`, for centers that do not take part."""

    link: Link
    away: Collection[str]

    def sites(self) -> Sequence[str]:
        """The sites that are connected."""
        return [site for site in self.link.sites() if site not in self.away]

    def ask(self, task: Task, sites: Sequence[str]) -> Iterator[tuple[str, Answer]]:
        """The answers of connected sites."""
        return self.link.ask(task, sites)


@dataclass(frozen=True)
class AddingPartialLink(PartialLink):
    """The same of a link that adds answers where they are made."""

    link: AddingLink

    def gather(self, task: Task, sites: Sequence[str], adder: Adder) -> Iterator[PartialRound]:
        """What connected sites gave."""
        return self.link.gather(task, sites, adder)


def leave_out(link: Link, away: Collection[str]) -> Link:
    """The link without the sites `away`, adding answers where they are made if it does."""
    return AddingPartialLink(link, away) if isinstance(link, AddingLink) else PartialLink(link, away)


class InlineLink:
    """The simplest link: the sites answer one after the other in this process."""

    def __init__(self, sites: Sequence[str], opener: SiteOpener) -> None:
        """Keep the opener; a site is opened with its first task."""
        self._names, self._opener = list(sites), opener
        self._open: dict[str, TaskHandler] = {}

    def sites(self) -> list[str]:
        """All sites, in order."""
        return list(self._names)

    def ask(self, task: Task, sites: Sequence[str]) -> Iterator[tuple[str, Answer]]:
        """The answers, in the order of `sites`."""
        for site in sites:
            if site not in self._open:
                self._open[site] = self._opener(site)
            yield site, self._open[site].handle(task)

    def close(self) -> None:
        """Do nothing: there are no processes."""


@dataclass(eq=False)
class _Worker:
    process: BaseProcess
    pipe: Connection
    windows: dict[str, SharedView] = field(default_factory=dict)
    asked: deque[str] = field(default_factory=deque)


class _SiteQueue:
    """Sites to ask, in order, in a line for each worker that has them open: finding the next takes no search."""

    def __init__(self, sites: Sequence[str], homes: Mapping[str, _Worker]) -> None:
        self._homes = homes
        self._lines: dict[_Worker | None, deque[tuple[int, str]]] = {}
        self._count = self._left = 0
        for site in sites:
            self.append(site)

    def __len__(self) -> int:
        return self._left

    def append(self, site: str) -> None:
        """Put a site last."""
        self._lines.setdefault(self._homes.get(site), deque()).append((self._count, site))
        self._count += 1
        self._left += 1

    def take(self, worker: _Worker, pinned: bool) -> str | None:
        """The first site that the worker or nobody has open; without one the first of all, if it is not pinned."""
        own = [line for home in (worker, None) if (line := self._lines.get(home))]
        lines = own or [line for line in self._lines.values() if line and not pinned]
        if not lines:
            return None
        self._left -= 1
        return min(lines, key=lambda line: line[0]).popleft()[1]


class MemoryLink:
    """Worker processes that hold the sites. Use as a context manager, or call `close`."""

    def __init__(self, costs: Mapping[str, float], opener: SiteOpener, workers: int) -> None:
        """Start the workers; `costs` holds the lesions of every site, for the order of the tasks."""
        self._costs, self._opener = dict(costs), opener
        self._spawn = multiprocessing.get_context("spawn")
        self._workers = [self._start() for _ in range(workers)]
        self._homes: dict[str, _Worker] = {}
        self._arena = SharedBuffer("ceus-task")
        self._round = 0
        self.peak_worker_mb = 0.0

    def __enter__(self) -> MemoryLink:
        """The link itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the workers."""
        self.close()

    def sites(self) -> list[str]:
        """All sites, in order."""
        return sorted(self._costs)

    def ask(self, task: Task, sites: Sequence[str]) -> Iterator[tuple[str, Answer]]:
        """The answers in the order in which they arrive.

        An answer's tensors are in the worker's memory: use them before taking the next answer. A worker that dies is
        restarted and its sites get the task again; a site whose worker dies twice is lost in this round.
        """
        self._round += 1
        if task.kind == "offer":
            self._spread(sites)
        pinned = task.session is not None  # a site's secrets of a session are in one process
        queue = _SiteQueue(sorted(sites, key=lambda site: (-self._costs.get(site, 0.0), site)), self._homes)
        again: set[str] = set()
        length = self._arena.write(encode(task))
        try:
            slots = SLOTS if length <= LARGE_BYTES else 1
            ask = TaskRequest("", self._arena.path, length, self._round, slots)
            for worker in self._workers:
                self._feed(worker, queue, ask, pinned)
            while any(worker.asked for worker in self._workers):
                for worker in self._wait_ready():
                    yield from self._receive(worker, queue, again)
                    self._feed(worker, queue, ask, pinned)
        finally:
            self._drain()
            if length > LARGE_BYTES:
                self._arena.release_pages()

    def close(self) -> None:
        """End the workers, and kill those that are busy."""
        for worker in self._workers:
            worker.pipe.close()
        for worker in self._workers:
            worker.process.join(timeout=2)
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()
        self._workers = []
        self._arena.close()

    def _start(self) -> _Worker:
        ours, theirs = self._spawn.Pipe()
        process = self._spawn.Process(target=run_worker, args=(theirs, self._opener, os.getpid()), daemon=True)
        with _use_large_pages():
            process.start()
        theirs.close()
        return _Worker(process, ours)

    def _spread(self, sites: Sequence[str]) -> None:
        """Give each site a worker, so that all workers have about as much to do."""
        loads = [0.0] * len(self._workers)
        for site in sorted(sites, key=lambda site: (-self._costs.get(site, 0.0), site)):
            least = loads.index(min(loads))
            loads[least] += self._costs.get(site, 0.0)
            self._homes[site] = self._workers[least]

    def _feed(self, worker: _Worker, queue: _SiteQueue, ask: TaskRequest, pinned: bool) -> None:
        """Queue one more site at a worker, unless too few are left for the other workers.

        pinned: whether a site is asked at its own worker only.
        """
        plenty = len(queue) > SLOTS * len(self._workers)
        while queue and len(worker.asked) < (ask.slots if plenty else 1):
            site = queue.take(worker, pinned)
            if site is None:
                return
            self._homes[site] = worker
            worker.asked.append(site)
            try:
                worker.pipe.send(replace(ask, site=site))
            except OSError:  # it has died, which reading from it will show
                return

    def _wait_ready(self) -> list[_Worker]:
        busy = {worker.pipe: worker for worker in self._workers if worker.asked}
        return [busy[pipe] for pipe in wait(list(busy)) if isinstance(pipe, Connection)]

    def _receive(self, worker: _Worker, queue: _SiteQueue, again: set[str]) -> Iterator[tuple[str, Answer]]:
        try:
            answered: TaskReply = worker.pipe.recv()
        except (EOFError, OSError):
            yield from self._restart(worker, queue, again)
            return
        worker.asked.popleft()
        self.peak_worker_mb = max(self.peak_worker_mb, answered.peak_mb)
        window = worker.windows.setdefault(answered.path, SharedView())
        answer = decode(window.view(answered.path, answered.length))
        yield answered.site, answer if isinstance(answer, Update | Refusal) else Lost(answered.site, "not an answer")

    def _restart(self, worker: _Worker, queue: _SiteQueue, again: set[str]) -> Iterator[tuple[str, Answer]]:
        worker.process.join()
        code, unanswered = worker.process.exitcode, list(worker.asked)
        fresh = self._start()
        worker.process, worker.pipe, worker.windows = fresh.process, fresh.pipe, {}
        worker.asked.clear()
        for place, site in enumerate(unanswered):
            if place == 0 and site in again:  # the worker had begun only with the first
                yield site, Lost(site, f"its worker process died twice (exit code {code}); check the free memory")
                continue
            again |= {site} if place == 0 else set()
            queue.append(site)

    def _drain(self) -> None:
        """Receive the answers of a round that was left early, so that the next round gets none of them."""
        for worker in self._workers:
            while worker.asked:
                try:
                    worker.pipe.recv()
                except (EOFError, OSError):
                    break
                worker.asked.popleft()


@contextlib.contextmanager
def _use_large_pages() -> Iterator[None]:
    """Let processes that are started meanwhile use memory pages of 2 MB, unless GLIBC_TUNABLES is set.

    Training allocates and frees hundreds of MB a step, which takes a third of a large net's step with pages of 4 KB.
    """
    name = "GLIBC_TUNABLES"
    if name in os.environ:
        yield
        return
    os.environ[name] = "glibc.malloc.hugetlb=1"
    try:
        yield
    finally:
        del os.environ[name]
