"""Experiments that train: one run of the plan an arm and seed, on the same hospitals, and what it scored."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import yaml

from ceus_models.runtime.atomic_files import PUBLIC, write_whole
from ceus_models.runtime.errors import ExpectedError
from server.report.publish import RESULTS
from server.results.metrics import Ints
from server.rounds.checkpoints import Store
from server.rounds.coordinator import run
from server.rounds.events import Listener
from server.study.plan import Plan, load_plan
from sim.engine.memory_link import InlineLink
from sim.engine.sites import PooledOpener
from sim.experiments.experiment_file import Sets, Variant
from sim.experiments.overrides import overridden
from sim.experiments.paired import confusions
from sim.hospital.prepare import HOSPITALS, simulation_of, site_name
from sim.hospital.shared_hospitals import Shared
from sim.runs.baselines import BASELINES, POOLED, plain
from sim.runs.run import Settings, Watcher, read_results, run_study

PLAN_FILE = "plan.yaml"


@dataclass(frozen=True)
class Request:
    """What the command line says. out: the run's folder · plan: in place of the experiment's base, None = that ·
    seed: of the hospitals, and of training where the experiment names no seeds · sets: settings of all arms ·
    watch: shows one run, by its label · counted: shows a count, by its name.
    """

    out: Path
    plan: Path | None
    seed: int
    workers: int
    sets: Sets
    watch: Callable[[str], AbstractContextManager[Watcher]]
    counted: Callable[[str], AbstractContextManager[Callable[[int, int], None]]]

    def base(self, named: str) -> Path:
        """The plan file that arms vary."""
        return Path(named) if self.plan is None else self.plan


@dataclass(frozen=True)
class Ran:
    """A finished arm. out: its run's folder, with plan.yaml unless it is the run that the experiment belongs to."""

    label: str
    seed: int
    plan: Plan
    out: Path

    def confusion(self, shown: str, cohort: str) -> Ints | None:
        """(1+R k k) on a cohort, from the sums of its evaluation; None where no site had a lesion."""
        progress = Store(self.out).latest(self.plan.digest(), self.seed)
        if progress is None:
            raise ExpectedError(f"{self.out} holds no checkpoint; start the same command again")
        return confusions(progress.totals, shown, cohort)


def run_arms(variants: Sequence[Variant], seeds: Sequence[int], folder: Path, request: Request) -> list[list[Ran]]:
    """Every arm at every seed, unless it is there already: a list of arms, each a list over seeds.

    folder: of the experiment; each run has a folder of its own in it, named by label, seed and the plan's digest.
    Raises ExpectedError where the run's folder holds hospitals of another plan or seed.
    """
    shared = Shared(request.out, request.seed)
    for variant in variants:
        shared.require(variant.plan)
    with request.watch("hospitals") as watcher:
        shared.ready(variants[0].plan, request.workers, watcher.hospital)
    found: list[list[Ran]] = [[] for _ in variants]
    for seed in seeds:
        for index, variant in enumerate(variants):
            found[index].append(_ran(_seeded(variant, seed, request.seed), seed, folder, (shared, request)))
    return found


def _ran(variant: Variant, seed: int, folder: Path, means: tuple[Shared, Request]) -> Ran:
    (shared, request), arm = means, variant.arm
    plan = plain(variant.plan) if arm.pooled else variant.plan
    out = folder / "arms" / f"{_slug(arm.label)}-seed{seed}-{plan.digest()[:8]}"
    for place in (request.out / BASELINES / POOLED if arm.pooled else request.out, out):
        if (_walked if arm.pooled else _finished)(place, plan, seed):
            return Ran(arm.label, seed, plan, place)
    shared.lend(out, plan.processing)
    with request.watch(f"{arm.label}, seed {seed}") as watcher:
        if arm.pooled:
            _pool(plan, out, seed, watcher.event)
        else:
            _federate(variant, Settings(out / PLAN_FILE, out, seed, request.workers), watcher)
    return Ran(arm.label, seed, plan, out)


def _pool(plan: Plan, out: Path, seed: int, listener: Listener) -> None:
    """Walk a plan at one site that holds what all hospitals below `out` have, or go on with it."""
    torch.set_num_threads(1)
    folders = {folder.name: folder for folder in sorted((out / HOSPITALS).glob("site-*"))}
    away = {site_name(center) for center in simulation_of(plan.simulation).without}
    opener = PooledOpener(folders, plan.processing, frozenset(folders) - away, out / "memory")
    run(plan, InlineLink([POOLED], opener), Store(out), seed, listener)


def _federate(variant: Variant, settings: Settings, watcher: Watcher) -> None:
    """The whole run of an arm, with its own plan file."""
    text = yaml.safe_dump(variant.values, sort_keys=False, allow_unicode=True)
    write_whole(settings.plan, text.encode(), PUBLIC)
    if load_plan(settings.plan).digest() != variant.plan.digest():
        raise ExpectedError(f"{settings.plan} does not say what the arm {variant.arm.label!r} means; report this")
    run_study(settings, watcher)


def _seeded(variant: Variant, seed: int, hospitals: int) -> Variant:
    """The variant whose hospitals stay those of the run where training has another seed."""
    if seed == hospitals:
        return variant
    simulation: Mapping[str, object] = {**variant.plan.simulation, "seed": hospitals}
    values = overridden(variant.values, (), {"simulation.seed": hospitals})
    return replace(variant, values=values, plan=replace(variant.plan, simulation=simulation))


def _finished(out: Path, plan: Plan, seed: int) -> bool:
    if not (out / RESULTS).exists():
        return False
    found = read_results(out)
    return bool(found.get("plan_digest") == plan.digest() and found.get("seed") == seed)


def _walked(out: Path, plan: Plan, seed: int) -> bool:
    """Whether the plan of a baseline, which leaves checkpoints alone, was walked to its end there."""
    try:
        progress = Store(out).latest(plan.digest(), seed)
    except ExpectedError:  # of another plan or seed
        return False
    return progress is not None and plan.current(progress.stage) is None


def _slug(label: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", label.lower()).strip("-") or "arm"


def pooled(found: Sequence[Ints | None]) -> Ints | None:
    """The counts of several cohorts together."""
    known = [confusion for confusion in found if confusion is not None]
    return np.sum(known, axis=0, dtype=np.int64) if known else None
