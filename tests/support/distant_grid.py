"""A Flower grid of distant sites in made-up time: lines with latency and width, sites that drop out, stay away or hang.

Nobody waits: the clock goes only while somebody sleeps, so hours of a study take seconds (`benchmarks.distant_sites`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from flwr.app import Error, Message
from flwr.common.constant import ErrorCode

from ceus_models.protocol.encoding import decode, to_bytes
from ceus_models.protocol.flower_records import from_record, to_record
from ceus_models.protocol.messages import Task, Update
from ceus_models.protocol.task_id import compute_task_id
from ceus_models.runtime.seeds import derive_seed
from tests.support.federation import SEED

LESIONS = (10, 200)
LATENCY_S = (0.02, 0.4)
BYTES_PER_S = (2.5e6, 25e6)  # 20 to 200 Mbit/s
PER_LESION_S = 3.0
BACK_S, AWAY_S, LATE_S = 40.0, 600.0, 2e4
LEASE_S = 60.0  # so long after a node went away Flower says so
SHARES = {"restarts": 0.03, "stays away": 0.02, "hangs": 0.004}


@dataclass
class Clock:
    """A clock that goes only while somebody sleeps."""

    now: float = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@dataclass(frozen=True)
class Distant:
    """A site: its node, its lesions, and its line."""

    name: str
    node: int
    lesions: int
    latency_s: float
    bytes_per_s: float

    def seconds(self, carried: float) -> float:
        """From the letter to the answer, undisturbed. carried: bytes, both ways together."""
        return 2 * self.latency_s + carried / self.bytes_per_s + PER_LESION_S * self.lesions


@dataclass(frozen=True)
class Node:
    """As Flower lists one."""

    node_id: int
    last_activated_at: str
    name: str


@dataclass(frozen=True, eq=False)
class _Letter:
    message: Message
    site: Distant
    due: float
    lost: bool
    """Its node goes away before it answers: an error comes back when the node's lease is over."""


@dataclass
class DistantGrid:
    """What the post uses of Flower's grid. carried: bytes of a task and its answer, as the lines feel them · shares: of
    the answers that meet each trouble.
    """

    sites: Sequence[Distant]
    clock: Clock
    carried: float
    shares: dict[str, float]
    troubles: list[tuple[str, str, str]] = field(default_factory=list)
    """What happened: (round, site, trouble)."""
    done: dict[str, float] = field(default_factory=dict)
    """When each site's answer of the round under way was there."""
    _letters: dict[str, _Letter] = field(default_factory=dict)
    _away: dict[str, list[tuple[float, float]]] = field(default_factory=dict)
    _round: str = ""

    def get_nodes(self) -> Iterable[Node]:
        for site in self.sites:
            outages = self._away.get(site.name, [])
            if not any(begun <= self.clock.now < end for begun, end in outages):
                yield Node(site.node, str(sum(end <= self.clock.now for _, end in outages)), site.name)

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        return [self._post(message) for message in messages]

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        due = [one for one in message_ids if one in self._letters and self._letters[one].due <= self.clock.now]
        return [_answered(self._letters.pop(one)) for one in due]

    def _post(self, message: Message) -> str:
        site = self.sites[message.metadata.dst_node_id]
        if message.metadata.group_id != self._round:
            self._round = message.metadata.group_id
            self.done = {}
        letter = f"{self._round}-{site.name}-{self.clock.now}"
        message.metadata.__dict__["_message_id"] = letter
        takes = site.seconds(self.carried)
        trouble = self._trouble(site) if site.name not in self.done else ""
        self.done[site.name] = self.clock.now + takes
        due = LATE_S if trouble == "hangs" else takes
        if trouble:
            self.troubles.append((self._round, site.name, trouble))
        lost = trouble in ("restarts", "stays away")
        if lost:
            begun = self.clock.now + 0.7 * takes
            end = begun + (BACK_S if trouble == "restarts" else AWAY_S)
            self._away.setdefault(site.name, []).append((begun, end))
            due = 0.7 * takes + LEASE_S
        self._letters[letter] = _Letter(message, site, self.clock.now + due, lost)
        return letter

    def _trouble(self, site: Distant) -> str:
        draw = np.random.default_rng(derive_seed(SEED, "trouble", self._round, site.name)).random()
        for trouble, share in self.shares.items():
            if draw < share:
                return trouble
            draw -= share
        return ""


def _answered(letter: _Letter) -> Message:
    """A plausible answer, made when it is asked for, so that no two are held here."""
    if letter.lost:
        return Message(Error(ErrorCode.NODE_UNAVAILABLE, "gone"), reply_to=letter.message)
    task = decode(from_record(letter.message.content))
    assert isinstance(task, Task)
    weight = float(letter.site.lesions)
    sums = {name: torch.full_like(tensor, 1e-3) * weight for name, tensor in task.inputs.items()}
    for what, value in (("#weight", weight), ("#loss", weight / task.round)):
        sums[f"{task.nets[0]}|{what}"] = torch.tensor(value, dtype=torch.float64)
    answer = Update(letter.site.name, sums, weight, task=compute_task_id(task))
    return Message(to_record(to_bytes(answer)), reply_to=letter.message)


def sites_of(count: int) -> list[Distant]:
    """The largest is 20 times the smallest; lines are drawn at random, apart from size."""
    draw = np.random.default_rng(derive_seed(SEED, "lines", count))

    def spread(ends: tuple[float, float], share: float) -> float:
        return float(ends[0] * (ends[1] / ends[0]) ** share)

    return [
        Distant(
            name=f"site-{number + 1:02d}",
            node=number,
            lesions=round(spread(LESIONS, number / max(count - 1, 1))),
            latency_s=spread(LATENCY_S, draw.random()),
            bytes_per_s=spread(BYTES_PER_S, draw.random()),
        )
        for number in range(count)
    ]
