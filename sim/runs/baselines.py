"""Baselines of a federated run: the same plan on pooled lesions, and on each center's own lesions."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from ceus_models.plan.plan import Plan, Stage, load_plan
from ceus_models.plan.stages import Evaluate, Statistics
from ceus_models.plan.strategies import FedAvg
from ceus_models.plan.train_stage import Train
from ceus_models.runtime.atomic_files import PUBLIC, write_atomically
from ceus_models.study.taxonomy import FUSION_NETS, TEST_COHORTS
from client.data.dataset.worker_pool import map_trusted
from server.results.results import collect_results
from server.rounds.coordinator import run
from server.rounds.saving.checkpoints import Store
from sim.engine.inline_link import InlineLink
from sim.engine.sites import PooledOpener
from sim.hospital.prepare import HOSPITALS, parse_simulation
from sim.runs.classical.against_nets import compare_classical
from sim.runs.run import COMPARISON_FILE, RunObserver, RunSettings, publish_results, run_study

POOLED = "pooled"
BASELINES = "compare"
"""The folder of the baselines' checkpoints in a run's folder."""


@dataclass(frozen=True)
class Baseline:
    """One baseline: a single site that trains on some hospitals and is tested on all. Picklable."""

    name: str
    plan: Plan
    opener: PooledOpener
    out: Path
    seed: int

    def train(self) -> dict[str, Any]:
        """Run or resume the plan in this process, and return the scores by cohort."""
        torch.set_num_threads(1)
        progress = run(self.plan, InlineLink([self.name], self.opener), Store(self.out), self.seed)
        return select_scores(collect_results(progress, self.plan, self.seed))


def compare_baselines(
    settings: RunSettings, watcher: RunObserver, tell: Callable[[str, int, int], None]
) -> dict[str, Any]:
    """Train the federated study and its baselines, with as many passes over each lesion, and the classical ones.

    Args:
        settings: of the run.
        watcher: of the federated run.
        tell: called with each finished baseline, the number of finished ones, and of all.

    Returns:
        The results of the federated run with `comparison`.
    """
    federated = run_study(settings, watcher)
    plan = load_plan(settings.plan)
    arms = list(list_baselines(plan, settings))
    found: dict[str, Any] = {}
    for arm, scored in map_trusted(Baseline.train, arms, settings.workers):
        found[arm.name] = scored
        tell(arm.name, len(found), len(arms))
    comparison = {
        "federated": select_scores(federated),
        POOLED: found.pop(POOLED),
        "alone": dict(sorted(found.items())),
        **compare_classical(settings.out, plan, federated, settings.seed),
    }
    write_atomically(settings.out / COMPARISON_FILE, json.dumps(comparison, indent=1, allow_nan=False).encode(), PUBLIC)
    return publish_results(federated, settings.out)


def list_baselines(plan: Plan, settings: RunSettings) -> Iterator[Baseline]:
    """The pooled baseline, which takes longest, then every hospital that can train and choose its rounds alone."""
    folders = {folder.name: folder for folder in sorted((settings.out / HOSPITALS).glob("site-*"))}
    for name in (POOLED, *folders):
        learns_from = frozenset(folders if name == POOLED else {name})
        place = settings.out / BASELINES / name
        opener = PooledOpener(folders, plan.processing, learns_from, place / "memory")
        if name == POOLED or _can_train(opener, plan):
            own = pool_plan(plan) if name == POOLED else centralise_plan(localise_plan(plan))
            yield Baseline(name, own, opener, place, settings.seed)


def pool_plan(plan: Plan) -> Plan:
    """The plan for all lesions in one place, at the simulation's rate for that."""
    rate = parse_simulation(plan.simulation).pooled_rate if plan.simulation else None
    if rate is None:
        return centralise_plan(plan)
    stages = tuple(
        replace(stage, rule=replace(stage.rule, learning_rate=rate)) if isinstance(stage, Train) else stage
        for stage in plan.stages
    )
    return centralise_plan(replace(plan, stages=stages))


def centralise_plan(plan: Plan) -> Plan:
    """The plan for one site, with as many passes over each lesion.

    The site takes part in every round, so it needs fewer rounds; without averaging the strategy is plain FedAvg.
    """
    stages = tuple(_centralise_stage(stage) if isinstance(stage, Train) else stage for stage in plan.stages)
    return replace(plan, stages=stages, quorum=replace(plan.quorum, required=(), sites=1, stages={}))


def _centralise_stage(stage: Train) -> Train:
    rounds = max(1, round(stage.rounds * stage.share))
    every = stage.validate and replace(stage.validate, every=max(1, round(stage.validate.every * stage.share)))
    return replace(stage, strategy=FedAvg(), share=1.0, rounds=rounds, validate=every)


def localise_plan(plan: Plan) -> Plan:
    """The plan for a center alone: its fusion nets train on the same lesions as its sub-models."""
    own = next(stage.cohorts for stage in plan.stages if isinstance(stage, Train))
    stages: list[Stage] = []
    for stage in plan.stages:
        if isinstance(stage, Statistics):
            stages.append(replace(stage, fusion_cohorts=own))
        elif isinstance(stage, Train) and set(stage.nets) & {"fusion", *FUSION_NETS}:
            stages.append(replace(stage, cohorts=own))
        elif not isinstance(stage, Evaluate) or set(stage.cohorts) & set(TEST_COHORTS):
            stages.append(stage)
    return replace(plan, stages=tuple(stages))


def select_scores(found: dict[str, Any]) -> dict[str, Any]:
    """Test cohort → accuracy of the full model, for the report."""
    return {
        cohort: {"accuracy": entry["models"]["DCB"]["accuracy"]}
        for cohort, entry in found["cohorts"].items()
        if cohort in TEST_COHORTS and "DCB" in entry["models"]
    }


def _can_train(opener: PooledOpener, plan: Plan) -> bool:
    """Whether a center alone has lesions to train its nets on and to choose their rounds on.

    A center whose few validation lesions the rules of inclusion leave out has none for the second.
    """
    present = {sample.cohort for sample in opener("any").samples}
    stages = [stage for stage in localise_plan(plan).stages if isinstance(stage, Train)]
    asked = [stage.cohorts for stage in stages] + [stage.validate.cohorts for stage in stages if stage.validate]
    return all(present & set(cohorts) for cohorts in asked)
