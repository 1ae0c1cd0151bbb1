"""52 sites behind slow lines, of 20-fold different size, some of which drop out: the link, in made-up time.

    python -m benchmarks.distant_sites [--rounds 12] [--sites 52] [--out FILE]

Everything on the coordinator's side is what a study runs (rounds, deadlines, screening, sums, the post through Flower's
messages), but for the grid below it and the clock: nobody waits, so that hours of a study take seconds here. A site
works for so long a lesion, its line has a latency and a width, and a message of the paper's plan is as long on it as it
would be. In each round some sites drop out and come back in the middle, some stay away, and one in a few rounds hangs.
"""

from __future__ import annotations

import math
import multiprocessing
import resource
import statistics
import unittest.mock
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from flwr.app import Error, Message
from flwr.common.constant import ErrorCode
from flwr.supercore.task_identity import TaskIdentity

from benchmarks.clients import LITTLE, SMALL
from benchmarks.federation import COHORT, SEED, Unsaved, recipe_for
from benchmarks.measuring import arguments, publish, quiet
from ceus_models.encoding import decode, encode, to_bytes
from ceus_models.identity import asked_id
from ceus_models.nets import initial_state
from ceus_models.records import from_record, to_record
from ceus_models.seeds import seed_of
from ceus_models.state import prefixed
from ceus_models.taxonomy import SUBMODELS
from ceus_models.wire import Architecture, LocalRule, Task, Update
from server.coordinator import Event, Finished, run
from server.delivery import RHYTHM, PostLink
from server.link import FlowerPost
from server.participation import Quorum, Record
from server.plan import Plan, load_plan
from server.progress import Progress
from server.train_stage import Train

NET = "disease/HCC"
LESIONS = (10, 200)
LATENCY_S = (0.02, 0.4)
BYTES_PER_S = (2.5e6, 25e6)  # 20 to 200 Mbit/s
PER_LESION_S = 3.0
BACK_S, AWAY_S, LATE_S = 40.0, 600.0, 2e4
LEASE_S = 60.0  # so long after a node went away Flower says so
SHARES = {"restarts": 0.03, "stays away": 0.02, "hangs": 0.004}
MIDDLE = Architecture(spatial_depth=18, temporal_depth=18, width=32, hidden=32)
_CLOCKED = ("server.delivery.time", "server.seats.time", "server.link.time", "server.coordinator.time")


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
        draw = np.random.default_rng(seed_of(SEED, "trouble", self._round, site.name)).random()
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
    answer = Update(letter.site.name, sums, weight, task=asked_id(task))
    return Message(to_record(to_bytes(answer)), reply_to=letter.message)


def sites_of(count: int) -> list[Distant]:
    """The largest is 20 times the smallest; lines are drawn at random, apart from size."""
    draw = np.random.default_rng(seed_of(SEED, "lines", count))

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


@dataclass
class Walked:
    """records: of the rounds · slowest: per round, when the last counted site had answered, in seconds from the
    question · troubles: (round, site, what).
    """

    records: list[Record]
    slowest: list[float]
    troubles: list[tuple[str, str, str]]


def walk(count: int, rounds: int, carried: float, architecture: Architecture = LITTLE, share: float = 1.0) -> Walked:
    """A training stage of `rounds` rounds over `count` sites. share: of the usual troubles."""
    rule = LocalRule(epochs=1, batch_size=8, learning_rate=0.01)
    stage = Train("train", "distant", (NET,), (COHORT,), rounds, rule=rule)
    plan = Plan("distant", (stage,), Quorum(0.5), processing=SMALL, architecture=architecture, late="never")
    clock, sites = Clock(), sites_of(count)
    grid = DistantGrid(sites, clock, carried, {what: share * part for what, part in SHARES.items()})
    link = PostLink(FlowerPost(grid, RHYTHM.poll_s), count, plan.deadlines, Nobody(), RHYTHM)  # type: ignore[arg-type]
    counts = {site.name: {COHORT: site.lesions} for site in sites}
    start = Progress(recipe=recipe_for(plan), counts=counts)
    walked = Walked([], [], grid.troubles)
    begun = [0.0]

    def heard(event: Event) -> None:
        if isinstance(event, Finished):
            walked.records.append(event.record)
            walked.slowest.append(max(grid.done[name] for name in event.record.counted) - begun[0])
            begun[0] = clock.now

    with _made_up(clock):
        run(plan, link, Unsaved(Path("nowhere"), start), SEED, heard)
    return walked


class Nobody:
    """A witness who writes nothing down."""

    def sent(self, task: Task, site: str, digest: str, size: int) -> None: ...

    def came(self, task: Task, site: str, data: bytes, seconds: float, fault: str = "") -> None: ...

    def late(self, task: Task, site: str, data: bytes, fault: str = "") -> None: ...

    def lost(self, task: Task, site: str, reason: str) -> None: ...


@contextmanager
def _made_up(clock: Clock) -> Iterator[None]:
    """The link's modules look at this clock, and Flower's messages may be made outside a run."""
    with ExitStack() as stack:
        for name in _CLOCKED:
            stack.enter_context(unittest.mock.patch(name, clock))
        for name in ("_run_id", "_node_id", "_task_id"):
            stack.enter_context(unittest.mock.patch.object(TaskIdentity, name, 1))
        yield


def paper_bytes() -> dict[str, float]:
    """Bytes to and from one site in a round of the paper's plan, by kind of round."""
    plan = load_plan(Path(__file__).parent.parent / "configs" / "plan.paper.yaml")
    recipe = recipe_for(plan)
    state = initial_state(NET, recipe, SEED)  # all nine sub-models are binary and have the same shapes
    sent = Task("train", plan.digest(), SEED, "submodels", 1, (NET,), (COHORT,), prefixed(state, f"{NET}|"))
    one = float(sum(map(len, encode(sent))))
    fusion = sum(t.numel() * t.element_size() for t in initial_state("fusion/DCB", recipe, SEED).values())
    return {
        "one net": one,
        "sub-models, training": 2 * one * len(SUBMODELS),
        "sub-models, validation": one * len(SUBMODELS),
        "fusion, at most": 4 * 2 * float(fusion),
    }


def memory_mb(count: int) -> float:
    """The coordinator's peak in a process of its own, with `count` sites that each send a net of some 25 MB."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_held, args=(count, theirs))
    process.start()
    theirs.close()  # else the end of the child would not be seen
    try:
        return float(ours.recv()) if ours.poll(600) else math.nan
    finally:
        process.join(10)
        process.kill()


def _held(count: int, pipe: multiprocessing.connection.Connection) -> None:
    quiet()
    walk(count, 2, 0.0, MIDDLE, share=0.0)
    pipe.send(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


HEAD = ("what", "figure")


def main() -> None:
    """Times, bytes, memory."""
    given = arguments(__doc__, rounds=12, sites=52)
    quiet()
    carried = paper_bytes()
    walked = walk(given.sites, given.rounds, carried["sub-models, training"])
    memory = {count: memory_mb(count) for count in (4, 13, 26, 52)}
    whole = [(r.seconds, s) for r, s in zip(walked.records, walked.slowest, strict=True) if not r.lost]
    over = [seconds - slowest for seconds, slowest in whole]
    rows: list[tuple[str, object]] = [
        ("rounds · sites", f"{len(walked.records)} · {given.sites}"),
        ("counted in a round, fewest", min(len(record.counted) for record in walked.records)),
        *((f"answers that met: {what}", sum(t[2] == what for t in walked.troubles)) for what in SHARES),
        ("sites lost in a round, all rounds", sum(len(record.lost) for record in walked.records)),
        ("rounds without a lost site", len(whole)),
        ("such a round, median", f"{statistics.median(seconds for seconds, _ in whole):.0f} s"),
        ("of that beyond the slowest site", f"{statistics.median(over):.1f} s, at most {max(over):.1f} s"),
        ("longest round with a lost site", f"{max((r.seconds for r in walked.records if r.lost), default=0):.0f} s"),
        *((f"bytes a round and site, {what}", f"{size / 1e6:,.2f} MB") for what, size in carried.items()),
        *((f"coordinator's peak, {count} sites", f"{size:.0f} MB") for count, size in memory.items()),
    ]
    publish("distant sites, in made-up time", HEAD, rows, given.out)


if __name__ == "__main__":
    main()
