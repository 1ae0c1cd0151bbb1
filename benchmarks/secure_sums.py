"""A training round with secure sums over the same round without: processor time of a site, bytes, the coordinator.

    python -m benchmarks.secure_sums [--sites 9] [--lesions 10] [--repetitions 3] [--millions 8] [--out FILE]

The round is the demo's: nine sub-models, a quarter of 36 centers. At the paper's width the nets hold 298 million
numbers, too many for a laptop: one site masks `--millions` of them for 36 sites, and the time is scaled.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.measuring import arguments, in_turn, publish, quiet
from benchmarks.round import DEMO
from ceus_models.nets.module_cache import build_initial_state
from ceus_models.plan.plan import Plan, load_plan
from ceus_models.plan.progress import Progress
from ceus_models.plan.train_stage import Train
from ceus_models.protocol.encoding import encode
from ceus_models.protocol.messages import Level, Task
from ceus_models.protocol.privacy.masks import agree_on_key, derive_public_key
from ceus_models.protocol.privacy.secure_session import add_pair_mask, add_self_mask
from ceus_models.study.processing import Processing
from ceus_models.study.taxonomy import SUBMODELS
from client.worker.privacy.keys import load_channel_key
from client.worker.site.site import Site
from server.rounds.coordinator import run
from server.rounds.round import Answer
from tests.support.clients import lesion
from tests.support.federation import COHORT, Unsaved, recipe_for
from tests.support.open_policy import open_policy

PAPER_NUMBERS, PAPER_SITES = 298_000_000, 36


@dataclass
class Counted:
    """A link in this process that counts what sites and wires do."""

    sites_open: dict[str, Site]
    site_s: float = 0.0
    up: int = 0
    down: int = 0
    trips: int = 0
    by_kind: dict[str, float] = field(default_factory=dict)

    def sites(self) -> list[str]:
        return sorted(self.sites_open)

    def ask(self, task: Task, sites: Sequence[str]) -> Iterator[tuple[str, Answer]]:
        self.trips += 1
        length = sum(len(memoryview(part).cast("B")) for part in encode(task))
        for name in sites:
            begun = time.process_time()
            answer = self.sites_open[name].handle(task)
            spent = time.process_time() - begun
            self.site_s += spent
            self.by_kind[task.kind] = self.by_kind.get(task.kind, 0.0) + spent
            self.down += length
            self.up += sum(len(memoryview(part).cast("B")) for part in encode(answer))
            yield name, answer


def main() -> None:
    """Measure and report."""
    given = arguments(__doc__, sites=9, lesions=10, repetitions=3, millions=8)
    quiet()
    with tempfile.TemporaryDirectory() as folder:
        rows = measure_rounds(
            replace(load_plan(DEMO), sharing="separate"), given.sites, given.lesions, given.repetitions, Path(folder)
        )
    publish(
        f"a round of {given.sites} sites with {given.lesions} lesions, {len(SUBMODELS)} demo nets; aims: bytes at most "
        "2 times, a site's processor at most 1.3 times",
        ("level", "site s", "coordinator s", "up MB a site", "down MB a site", "round trips"),
        rows,
        given.out,
    )
    times = in_turn({"mask": partial(mask_once, given.millions * 1_000_000, PAPER_SITES)}, given.repetitions)["mask"]
    scaled = times.median * PAPER_NUMBERS / (given.millions * 1_000_000)
    publish(
        f"masks of one site among {PAPER_SITES}, {given.millions} million numbers",
        ("what", "seconds"),
        [("measured", times), (f"scaled to {PAPER_NUMBERS / 1e6:.0f} million", round(scaled, 1))],
        None,
    )


def measure_rounds(plan: Plan, count: int, lesions: int, repetitions: int, folder: Path) -> list[tuple[object, ...]]:
    """Figures of the plain and the secure round, the medians over repetitions taken in turn."""
    names = [f"site-{number:02d}" for number in range(1, count + 1)]
    sites = {name: open_site(name, lesions, plan.processing, folder / name) for name in names}
    levels: tuple[Level, ...] = ("none", "sums")
    found: dict[Level, list[tuple[float, ...]]] = {level: [] for level in levels}
    measure(plan, "none", sites, 0)
    for number in range(1, repetitions + 1):
        for level in levels:
            found[level].append(measure(plan, level, sites, number))
    return [(level, *(round(float(np.median(one)), 3) for one in zip(*found[level], strict=True))) for level in levels]


def measure(plan: Plan, level: Level, sites: dict[str, Site], seed: int) -> tuple[float, ...]:
    """One round: processor seconds of a site and of the coordinator, MB up and down a site, and round trips."""
    stage = next(stage for stage in plan.stages if isinstance(stage, Train))
    stage = replace(stage, rounds=1, validate=None, share=1.0, level=level)
    link = Counted(sites)
    keys = {name: load_channel_key(site.memory).public.hex() for name, site in sites.items()}
    recipe = recipe_for(plan)
    nets = {net: build_initial_state(net, recipe, seed) for net in SUBMODELS}  # a question that no site has answered
    counts = {name: {COHORT: len(site.samples)} for name, site in sites.items()}
    start = Progress(recipe=recipe, counts=counts, nets=nets, keys=keys)
    begun = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        after = run(replace(plan, stages=(stage,)), link, Unsaved(Path(folder), start), seed)
    whole = time.process_time() - begun
    if len(after.participation[-1].counted) != len(sites):
        raise RuntimeError(f"a benchmark counts all sites, but: {after.participation[-1]}")
    count = len(sites)
    return link.site_s / count, whole - link.site_s, link.up / count / 1e6, link.down / count / 1e6, link.trips


def open_site(name: str, count: int, processing: Processing, folder: Path) -> Site:
    """A site of made-up lesions at the plan's sizes, with a key of secure sums."""
    samples = [lesion(name, number, processing) for number in range(count)]
    return Site(name, samples, processing.digest(), open_policy(), folder, records=folder)


def mask_once(numbers: int, sites: int) -> None:
    """All masks of one site for one answer: its own, and one with each other site."""
    vector = np.zeros(numbers, np.uint64)
    add_self_mask(vector, bytes(32), "binding")
    mine, other = bytes(range(32)), derive_public_key(bytes(range(1, 33)))
    secret = agree_on_key(mine, other)
    for place in range(1, sites):
        add_pair_mask(vector, secret, f"binding {place}", (0, place))


if __name__ == "__main__":
    main()
