"""A worker process of the simulation, which answers tasks for any site."""

from __future__ import annotations

import ctypes
import pickle
import resource
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection
from typing import Protocol

import torch

from ceus_models.protocol.encoding import decode, encode
from ceus_models.protocol.messages import Refusal, Task, Update
from ceus_models.runtime.child_processes import die_with_parent
from server.rounds.round import Adder, PartialRound
from sim.engine.shared_memory import SharedBuffer, SharedView

SLOTS = 2
"""Buffers of answers: with two, a worker prepares the next answer while the last one is read."""


class TaskHandler(Protocol):
    """The part of a site that the engine uses."""

    def handle(self, task: Task) -> Update | Refusal:
        """The site's answer to a task."""
        ...


SiteOpener = Callable[[str], TaskHandler]
"""Opens a site by its name in the worker process. Must be picklable."""


@dataclass(frozen=True)
class TaskRequest:
    """A request to answer the task in the coordinator's shared memory.

    Args:
        site: that answers.
        path: of the shared memory.
        length: of the task in bytes.
        round: number of the round.
        slots: buffers of answers in use; with one, an answer is read before the next request.
        adds: whether the answer is added here, instead of being sent.
        adder: adds the round's answers, without the task's tensors; in a worker's first request of a round.
    """

    site: str
    path: str
    length: int
    round: int
    slots: int
    adds: bool = False
    adder: Adder | None = None


@dataclass(frozen=True)
class TotalRequest:
    """A request for what the worker has added in this round."""


@dataclass(frozen=True)
class TaskReply:
    """A reply: the answer is in the worker's shared memory at `path`, or `part` says what it came to."""

    site: str
    path: str
    length: int
    peak_mb: float
    part: PartialRound | None = None


@dataclass(frozen=True)
class TotalReply:
    """A partial round, pickled but for its arrays, which are in the worker's shared memory at `path`."""

    pickled: bytes
    path: str
    lengths: tuple[int, ...]


def run_worker(pipe: Connection, opener: SiteOpener, parent: int) -> None:
    """Answer requests until the pipe closes; the process ends when `parent`, the coordinator, dies."""
    die_with_parent(parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(1)  # the same numbers for any number of workers, and no competition for cores
    worker = _Worker(opener)
    while True:
        try:
            ask: TaskRequest | TotalRequest | None = pipe.recv()
        except EOFError:
            return
        if ask is None:
            return
        pipe.send(worker.give_total() if isinstance(ask, TotalRequest) else worker.answer(ask))


@dataclass(eq=False)
class _Worker:
    """The open sites, the round's task, and what was added of its answers."""

    opener: SiteOpener
    sites: dict[str, TaskHandler] = field(default_factory=dict)
    slots: list[SharedBuffer] = field(default_factory=lambda: [SharedBuffer(f"ceus-answer-{n}") for n in range(SLOTS)])
    total: SharedBuffer = field(default_factory=lambda: SharedBuffer("ceus-total"))
    window: SharedView = field(default_factory=SharedView)
    task: Task | None = None
    adder: Adder | None = None
    part: PartialRound = field(default_factory=PartialRound)
    round: int = -1
    turn: int = 0

    def answer(self, ask: TaskRequest) -> TaskReply:
        """Let a site answer, and add or write the answer."""
        if ask.round != self.round:
            self._begin_round(ask)
        if ask.slots == 1:
            _release_memory(self.slots)
        if ask.site not in self.sites:
            self.sites[ask.site] = self.opener(ask.site)
        answer = self.sites[ask.site].handle(self.task) if self.task else Refusal(ask.site, "not a task", "error")
        if ask.slots == 1:
            _release_memory([])
        if ask.adds:
            return TaskReply(ask.site, "", 0, _read_peak_mb(), self._add(ask.site, answer))
        self.turn = (self.turn + 1) % ask.slots
        slot = self.slots[self.turn]
        length = slot.write(encode(answer))
        return TaskReply(ask.site, slot.path, length, _read_peak_mb())

    def give_total(self) -> TotalReply:
        """Write what was added, and forget it; the outcomes were given with each answer."""
        buffers: list[pickle.PickleBuffer] = []
        pickled = pickle.dumps(self.part.drop_outcomes(), protocol=5, buffer_callback=buffers.append)
        arrays = [buffer.raw() for buffer in buffers]
        self.total.write(arrays)
        self.part = PartialRound()
        return TotalReply(pickled, self.total.path, tuple(len(array) for array in arrays))

    def _begin_round(self, ask: TaskRequest) -> None:
        message = decode(self.window.view(ask.path, ask.length))
        self.task, self.round = message if isinstance(message, Task) else None, ask.round
        self.adder, self.part = None, PartialRound()
        if ask.adder and self.task:
            self.adder = replace(ask.adder, gate=replace(ask.adder.gate, task=self.task))

    def _add(self, site: str, answer: Update | Refusal) -> PartialRound:
        """Add an answer; what is known of its site now. Raises RuntimeError in a round that began without an adder."""
        if self.adder is None:
            raise RuntimeError("expected an adder in the round's first request, found none")
        self.part.take(site, answer, self.adder)
        if site in self.part.without_frozen:
            return PartialRound(without_frozen={site})
        return PartialRound(fates={site: self.part.fates[site]})


def load_total(reply: TotalReply, content: memoryview) -> PartialRound:
    """The partial round of a reply. content: of its shared memory."""
    arrays, place = [], 0
    for length in reply.lengths:
        arrays.append(content[place : place + length])
        place += length
    part: PartialRound = pickle.loads(reply.pickled, buffers=arrays)
    return part


def _read_peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _release_memory(slots: Sequence[SharedBuffer]) -> None:
    """Return free memory to the system: buffers of answers, and what the allocator keeps after training.

    With nets of 134 MB this is half of a worker's memory.
    """
    for slot in slots:
        slot.release_pages()
    ctypes.CDLL(None).malloc_trim(0)
