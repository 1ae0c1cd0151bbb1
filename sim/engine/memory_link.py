"""The in-memory link: worker processes on this machine answer the coordinator's tasks through shared memory.

A task is written once a round to memory that all workers read. Each worker screens and adds the answers of its sites,
and gives one total; of a secure sum, which only the coordinator can open, the answers go through memory that it reads.
The largest site is first; the others go to a free worker, if possible one that has the site open from an earlier round.
Results do not depend on the worker.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

from ceus_models.plan.terms.participation import Fate
from ceus_models.protocol.encoding import decode, encode
from ceus_models.protocol.messages import Refusal, Task, Update
from ceus_models.runtime.errors import ExpectedError
from server.rounds.round import Adder, Answer, Lost, PartialRound
from sim.engine.shared_memory import SharedBuffer, SharedView
from sim.engine.site_queue import SiteQueue
from sim.engine.worker import (
    SLOTS,
    SiteOpener,
    TaskReply,
    TaskRequest,
    TotalReply,
    TotalRequest,
    load_total,
    run_worker,
)

_MOST_TURNS = 3
"""A round is begun again so often, less once, for workers that die with what they had added."""
LARGE_BYTES = 32 << 20
"""Workers do not prepare answers to a larger task ahead: waiting for the reader takes little time beside the work."""


@dataclass(eq=False)
class _Worker:
    process: BaseProcess
    pipe: Connection
    windows: dict[str, SharedView] = field(default_factory=dict)
    asked: deque[str] = field(default_factory=deque)
    added: list[str] = field(default_factory=list)
    round: int = -1


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
        for site, found in self._run(task, sites, None):
            if isinstance(found, PartialRound):
                raise TypeError("expected answers, found a partial round")
            yield site, found

    def gather(self, task: Task, sites: Sequence[str], adder: Adder) -> Iterator[PartialRound]:
        """Yield the outcome of each site as it comes, then the total of each worker.

        What a worker had added is lost when it dies, so its sites are asked again, as in `ask`.
        """
        if adder.gate.task is not task:  # with frozen nets, for few sites
            for site, answer in self.ask(task, sites):
                part = PartialRound()
                part.take(site, answer, adder)
                yield part
            return
        light = replace(adder, gate=replace(adder.gate, task=replace(task, inputs={})))
        told: dict[str, tuple[Fate, str]] = {}
        left, turns = list(sites), 0
        while left:
            turns += 1
            if turns > _MOST_TURNS:
                raise ExpectedError(
                    f"expected the sums of {len(left)} sites, the workers that held them died {_MOST_TURNS} times; "
                    "check the free memory, or take fewer with --workers, and run the same command again"
                )
            for site, found in self._run(task, left, light):
                part = found if isinstance(found, PartialRound) else PartialRound()
                if not isinstance(found, PartialRound):
                    part.take(site, found, adder)
                fate = part.fates.get(site)
                if fate is None or told.get(site) != fate:  # a worker that died had its answers made again
                    told |= part.fates
                    yield part
            left = []
            for worker in self._workers:
                total = self._fetch_total(worker)
                if total is None:
                    left += worker.added
                    self._replace(worker)
                else:
                    yield total

    def _run(
        self, task: Task, sites: Sequence[str], adder: Adder | None
    ) -> Iterator[tuple[str, Answer | PartialRound]]:
        """Let the sites answer; yield each one's answer, or with an adder what it came to in its worker."""
        self._round += 1
        for worker in self._workers:
            worker.added = []  # of a round that was left early
        if task.kind == "offer":
            self._spread(sites)
        pinned = task.session is not None  # a site's secrets of a session are in one process
        queue = SiteQueue(sorted(sites, key=lambda site: (-self._costs.get(site, 0.0), site)), self._homes)
        again: set[str] = set()
        length = self._arena.write(encode(task))
        try:
            slots = SLOTS if length <= LARGE_BYTES else 1
            ask = TaskRequest("", self._arena.path, length, self._round, slots, adder is not None, adder)
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

    def _fetch_total(self, worker: _Worker) -> PartialRound | None:
        """What a worker has added, read from its memory; None if it has died."""
        if not worker.added:
            return PartialRound()
        try:
            worker.pipe.send(TotalRequest())
            reply: TotalReply = worker.pipe.recv()
        except (EOFError, OSError):
            return None
        window = worker.windows.setdefault(reply.path, SharedView())
        part = load_total(reply, window.view(reply.path, sum(reply.lengths)))
        window.release_pages()
        return part

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

    def _feed(self, worker: _Worker, queue: SiteQueue, ask: TaskRequest, pinned: bool) -> None:
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
            adder = ask.adder if worker.round != ask.round else None
            worker.round = ask.round
            try:
                worker.pipe.send(replace(ask, site=site, adder=adder))
            except OSError:  # it has died, which reading from it will show
                return

    def _wait_ready(self) -> list[_Worker]:
        busy = {worker.pipe: worker for worker in self._workers if worker.asked}
        return [busy[pipe] for pipe in wait(list(busy)) if isinstance(pipe, Connection)]

    def _receive(
        self, worker: _Worker, queue: SiteQueue, again: set[str]
    ) -> Iterator[tuple[str, Answer | PartialRound]]:
        try:
            answered: TaskReply = worker.pipe.recv()
        except (EOFError, OSError):
            yield from self._restart(worker, queue, again)
            return
        worker.asked.popleft()
        self.peak_worker_mb = max(self.peak_worker_mb, answered.peak_mb)
        if answered.part is not None:
            worker.added.append(answered.site)
            yield answered.site, answered.part
            return
        window = worker.windows.setdefault(answered.path, SharedView())
        answer = decode(window.view(answered.path, answered.length))
        yield answered.site, answer if isinstance(answer, Update | Refusal) else Lost(answered.site, "not an answer")

    def _restart(self, worker: _Worker, queue: SiteQueue, again: set[str]) -> Iterator[tuple[str, Answer]]:
        unanswered, added = list(worker.asked), list(worker.added)
        code = self._replace(worker)
        for place, site in enumerate(unanswered):
            if place == 0 and site in again:  # the worker had begun only with the first
                yield site, Lost(site, f"its worker process died twice (exit code {code}); check the free memory")
                continue
            again |= {site} if place == 0 else set()
            queue.append(site)
        for site in added:
            queue.append(site)

    def _replace(self, worker: _Worker) -> int | None:
        """Start a process in place of one that has died; the exit code of that."""
        worker.process.join()
        code = worker.process.exitcode
        fresh = self._start()
        worker.process, worker.pipe, worker.windows = fresh.process, fresh.pipe, {}
        worker.asked.clear()
        worker.added, worker.round = [], -1
        return code

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
