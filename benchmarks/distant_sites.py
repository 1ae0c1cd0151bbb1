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
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from flwr.supercore.task_identity import TaskIdentity

from benchmarks.measuring import arguments, publish, quiet
from ceus_models.nets.module_cache import build_initial_state
from ceus_models.plan.plan import Plan, load_plan
from ceus_models.plan.progress import Progress
from ceus_models.plan.terms.participation import Quorum, RoundRecord
from ceus_models.plan.train_stage import Train
from ceus_models.protocol.encoding import encode
from ceus_models.protocol.messages import Architecture, LocalRule, Task
from ceus_models.protocol.state import add_prefix
from ceus_models.study.taxonomy import SUBMODELS
from server.rounds.coordinator import run
from server.rounds.events import Event, Finished
from server.transport.delivery import RETRY_SCHEDULE, RetryingLink
from server.transport.flower_link import FlowerTransport
from tests.support.clients import LITTLE, SMALL
from tests.support.distant_grid import SHARES, Clock, DistantGrid, sites_of
from tests.support.federation import COHORT, SEED, Unsaved, recipe_for

NET = "disease/HCC"
MIDDLE = Architecture(spatial_depth=18, temporal_depth=18, width=32, hidden=32)
_CLOCKED = (
    "server.transport.delivery.time",
    "server.transport.node_registry.time",
    "server.transport.flower_link.time",
    "server.rounds.coordinator.time",
)


@dataclass
class Walked:
    """records: of the rounds · slowest: per round, when the last counted site had answered, in seconds from the
    question · troubles: (round, site, what).
    """

    records: list[RoundRecord]
    slowest: list[float]
    troubles: list[tuple[str, str, str]]


def walk(count: int, rounds: int, carried: float, architecture: Architecture = LITTLE, share: float = 1.0) -> Walked:
    """A training stage of `rounds` rounds over `count` sites. share: of the usual troubles."""
    rule = LocalRule(epochs=1, batch_size=8, learning_rate=0.01)
    stage = Train("train", "distant", (NET,), (COHORT,), rounds, rule=rule)
    plan = Plan("distant", (stage,), Quorum(0.5), processing=SMALL, architecture=architecture, late="never")
    clock, sites = Clock(), sites_of(count)
    grid = DistantGrid(sites, clock, carried, {what: share * part for what, part in SHARES.items()})
    link = RetryingLink(FlowerTransport(grid, RETRY_SCHEDULE.poll_s), count, plan.deadlines, Nobody(), RETRY_SCHEDULE)  # type: ignore[arg-type]
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

    def on_sent(self, task: Task, site: str, digest: str, size: int) -> None: ...

    def on_answer(self, task: Task, site: str, data: bytes, seconds: float, note: object) -> None: ...

    def on_late(self, task: Task, site: str, data: bytes, fault: str = "") -> None: ...

    def on_lost(self, task: Task, site: str, reason: str) -> None: ...


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
    state = build_initial_state(NET, recipe, SEED)  # all nine sub-models are binary and have the same shapes
    sent = Task("train", plan.digest(), SEED, "submodels", 1, (NET,), (COHORT,), add_prefix(state, f"{NET}|"))
    one = float(sum(map(len, encode(sent))))
    fusion = sum(t.numel() * t.element_size() for t in build_initial_state("fusion/DCB", recipe, SEED).values())
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
