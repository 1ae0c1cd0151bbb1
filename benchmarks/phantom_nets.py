"""Small nets on phantom lesions that are all in one place, for one seed or several side by side."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from benchmarks.phantom_lesions import Lesions, load_lesions
from ceus_models.plan.plan import Plan, Stage
from ceus_models.plan.train_stage import Train
from ceus_models.study.sample import Sample
from ceus_models.study.taxonomy import BIOMARKER_NETS, STRATEGY_A, STRATEGY_B, TEST_COHORTS
from client.policy.policy_file import POLICY_FILE, load_policy
from client.worker.site.site import Site
from server.results.results import collect_results
from server.rounds.coordinator import run
from server.rounds.saving.checkpoints import Store
from sim.engine.inline_link import InlineLink
from sim.hospital.paperwork import write_policy
from sim.hospital.prepare import Simulation
from sim.runs.baselines import pool_plan

DECAY = 0.001
Row = tuple[str, tuple[float | None, ...]]
"""What was measured, and its numbers by column; None where there is none."""


@dataclass(frozen=True)
class Trained:
    """Accuracies of strategies A and B and of the fusion nets; AUC of the biomarker nets in validation."""

    rows: list[Row]
    markers: Row


def summarise(rows: Sequence[Row]) -> Sequence[object]:
    """The rows of several seeds as one: the mean of each column, and each seed's where there are more."""
    cells: list[object] = [rows[0][0]]
    for column in zip(*(numbers for _, numbers in rows), strict=True):
        known = [number for number in column if number is not None]
        each = f" ({', '.join(f'{number:.3f}' for number in known)})" if len(known) > 1 else ""
        cells.append(f"{np.mean(known):.3f}{each}" if known else "")
    return cells


@dataclass(frozen=True, eq=False)
class _Opener:
    """Opens one site with all lesions."""

    samples: Sequence[Sample]
    processing: str
    memory: Path

    def __call__(self, site: str) -> Site:
        self.memory.mkdir(parents=True)
        write_policy(self.memory / POLICY_FILE, "open")
        return Site(site, self.samples, self.processing, load_policy(self.memory), self.memory)


@dataclass(frozen=True, eq=False)
class Seed:
    """One seed of the lesions and of the nets' training, as map_trusted takes it."""

    plan: Plan
    simulation: Simulation
    cache: Path
    passes: int
    seed: int

    def train(self) -> Trained:
        """Load the lesions and train on them."""
        torch.set_num_threads(1)
        return train_nets(load_lesions(self.plan, self.simulation, self.cache, 1), self.plan, self.passes, self.seed)


def train_nets(lesions: Lesions, plan: Plan, passes: int, seed: int) -> Trained:
    """Train the plan's nets on all lesions pooled, as the pooled baseline of a run does."""
    pooled = pool_plan(replace(plan, stages=tuple(shorten(stage, passes) for stage in plan.stages)))
    with tempfile.TemporaryDirectory() as folder:
        opener = _Opener(lesions.samples, plan.processing.digest(), Path(folder, "memory"))
        progress = run(pooled, InlineLink(["pooled"], opener), Store(Path(folder, "run")), seed)
        found = collect_results(progress, pooled, seed)
    rows: list[Row] = []
    for name, net in (("strategy A", STRATEGY_A), ("strategy B", STRATEGY_B)):
        rows.append((name, (found["nets"][net]["validation"]["accuracy"]["value"], *[None] * 6)))
    for model in ("D", "DC", "DB", "DCB"):
        cells = [found["cohorts"][cohort]["models"][model]["accuracy"]["value"] for cohort in TEST_COHORTS]
        sizes = [len(lesions.where(cohort)) for cohort in TEST_COHORTS]
        rows.append((model, (None, *cells, float(np.average(cells, weights=sizes)), None)))
    aucs = [found["nets"][net]["validation"]["auc"]["value"] for net in BIOMARKER_NETS]
    return Trained(rows, ("nets, validation", (*aucs, None)))


def shorten(stage: Stage, passes: int) -> Stage:
    """A stage of sub-models with so many passes over each lesion; another one as it is."""
    if not isinstance(stage, Train) or stage.nets == ("fusion",):
        return stage
    rounds = max(1, round(passes / stage.rule.epochs / stage.share))
    return replace(stage, rounds=rounds, rule=replace(stage.rule, weight_decay=DECAY))
