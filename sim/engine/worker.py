"""One worker process of the simulation: it holds sites, nets and data, and answers tasks for any of its sites."""

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
from sim.engine.shared_memory import Arena, Window

SLOTS = 2
"""A worker may be one answer ahead of the reader: it writes its answers to two places in turn."""


class Answering(Protocol):
    """What the engine needs of a site."""

    def handle(self, task: Task) -> Update | Refusal:
        """The site's answer to a task."""
        ...


Opener = Callable[[str], Answering]
"""Opens a site by its name, in the process that will answer for it. Must be picklable."""


@dataclass(frozen=True)
class Ask:
    """Answer the task that lies in the coordinator's arena, as this site.

    slots: to how many places in turn the round's answers are written; with one, an answer is read before the next ask.
    """

    site: str
    path: str
    length: int
    round: int
    slots: int


@dataclass(frozen=True)
class Answered:
    """The answer lies in the worker's arena `path`."""

    site: str
    path: str
    length: int
    peak_mb: float


def main(pipe: Connection, opener: Opener, parent: int) -> None:
    """Answer until the pipe closes. Ends at once when `parent`, the coordinator, dies."""
    die_with_parent(parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(1)  # same numbers for any number of workers, and no fight for cores
    sites: dict[str, Answering] = {}
    slots = [Arena(f"ceus-answer-{n}") for n in range(SLOTS)]
    window, seen, task, turn = Window(), -1, None, 0
    while True:
        try:
            ask: Ask | None = pipe.recv()
        except EOFError:
            return
        if ask is None:
            return
        if task is None or ask.round != seen:
            task, seen = decode(window.view(ask.path, ask.length)), ask.round
        if ask.slots == 1:
            _give_back(slots)
        if ask.site not in sites:
            sites[ask.site] = opener(ask.site)
        answer = sites[ask.site].handle(task) if isinstance(task, Task) else Refusal(ask.site, "not a task", "error")
        if ask.slots == 1:
            _give_back([])
        turn = (turn + 1) % ask.slots
        length = slots[turn].write(encode(answer))
        del answer  # or it would be held while the next one is made
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        pipe.send(Answered(ask.site, slots[turn].path, length, peak))


def _give_back(slots: Sequence[Arena]) -> None:
    """Memory that is free, to the system: what answers lay in, and what the allocator keeps of gradients and momentum.

    With nets of 134 MB it is half of what a worker would hold, and two workers share the machine.
    """
    for slot in slots:
        slot.empty()
    ctypes.CDLL(None).malloc_trim(0)
