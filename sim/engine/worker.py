"""A worker process of the simulation, which answers tasks for any site."""

from __future__ import annotations

import ctypes
import resource
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Protocol

import torch

from ceus_models.protocol.encoding import decode, encode
from ceus_models.protocol.messages import Refusal, Task, Update
from ceus_models.runtime.child_processes import die_with_parent
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
    """

    site: str
    path: str
    length: int
    round: int
    slots: int


@dataclass(frozen=True)
class TaskReply:
    """A reply: the answer is in the worker's shared memory at `path`."""

    site: str
    path: str
    length: int
    peak_mb: float


def run_worker(pipe: Connection, opener: SiteOpener, parent: int) -> None:
    """Answer requests until the pipe closes; the process ends when `parent`, the coordinator, dies."""
    die_with_parent(parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(1)  # the same numbers for any number of workers, and no competition for cores
    sites: dict[str, TaskHandler] = {}
    slots = [SharedBuffer(f"ceus-answer-{n}") for n in range(SLOTS)]
    window, seen, task, turn = SharedView(), -1, None, 0
    while True:
        try:
            ask: TaskRequest | None = pipe.recv()
        except EOFError:
            return
        if ask is None:
            return
        if task is None or ask.round != seen:
            task, seen = decode(window.view(ask.path, ask.length)), ask.round
        if ask.slots == 1:
            _release_memory(slots)
        if ask.site not in sites:
            sites[ask.site] = opener(ask.site)
        answer = sites[ask.site].handle(task) if isinstance(task, Task) else Refusal(ask.site, "not a task", "error")
        if ask.slots == 1:
            _release_memory([])
        turn = (turn + 1) % ask.slots
        length = slots[turn].write(encode(answer))
        del answer  # free it before the next answer is computed
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        pipe.send(TaskReply(ask.site, slots[turn].path, length, peak))


def _release_memory(slots: Sequence[SharedBuffer]) -> None:
    """Return free memory to the system: buffers of answers, and what the allocator keeps after training.

    With nets of 134 MB this is half of a worker's memory.
    """
    for slot in slots:
        slot.release_pages()
    ctypes.CDLL(None).malloc_trim(0)
