"""Experiments that train: one run of the plan for each arm and seed, on the same hospitals."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import yaml

from ceus_models.plan.plan import Plan, load_plan
from ceus_models.plan.progress import Progress
from ceus_models.runtime.atomic_files import PUBLIC, write_atomically
from ceus_models.runtime.errors import ExpectedError
from server.report.publish import RESULTS
from server.results.metrics import Counts
from server.rounds.coordinator import run
from server.rounds.events import Listener
from server.rounds.saving.checkpoints import Store
from sim.engine.inline_link import InlineLink
from sim.engine.sites import PooledOpener
from sim.experiments.experiment_file import Overrides, Variant
from sim.experiments.overrides import apply_overrides
from sim.experiments.paired import find_confusion
from sim.hospital.prepare import HOSPITALS, format_site_name, parse_simulation
from sim.hospital.shared_hospitals import SharedHospitals
from sim.runs.baselines import BASELINES, POOLED, pool_plan
from sim.runs.run import RunObserver, RunSettings, read_results, run_study

PLAN_FILE = "plan.yaml"


@dataclass(frozen=True)
class ExperimentRequest:
    """The options of the command.

    Args:
        out: folder of the run.
        plan: replaces the experiment's plan.
        seed: of the hospitals, and of training if the experiment has no seeds.
        workers: worker processes.
        sets: settings of all arms.
        watch: shows the progress of one run, by its label.
        counted: shows the progress of a count, by its name.
    """

    out: Path
    plan: Path | None
    seed: int
    workers: int
    sets: Overrides
    watch: Callable[[str], AbstractContextManager[RunObserver]]
    counted: Callable[[str], AbstractContextManager[Callable[[int, int], None]]]

    def select_plan(self, named: str) -> Path:
        """The plan file that the arms change."""
        return Path(named) if self.plan is None else self.plan


@dataclass(frozen=True)
class FinishedArm:
    """A finished arm; `out` is its run's folder, with plan.yaml unless it is the experiment's own run."""

    label: str
    seed: int
    plan: Plan
    out: Path

    def load_progress(self) -> Progress:
        """The finished study. Raises ExpectedError where its checkpoint is gone."""
        progress = Store(self.out).latest(self.plan.digest(), self.seed)
        if progress is None:
            raise ExpectedError(f"expected a checkpoint in {self.out}, found none; start the same command again")
        return progress

    def read_confusion(self, shown: str, cohort: str) -> Counts | None:
        """The confusion matrix (1+R k k) of a net on a cohort; None if no site has a lesion."""
        return find_confusion(self.load_progress().totals, shown, cohort)


def run_arms(
    variants: Sequence[Variant], seeds: Sequence[int], folder: Path, request: ExperimentRequest
) -> list[list[FinishedArm]]:
    """Run every arm at every seed, unless it is finished already.

    Args:
        variants: the arms' plans.
        seeds: of training.
        folder: of the experiment; each run's folder in it is named by label, seed and digest of the plan.
        request: options of the command.

    Returns:
        The finished arms, each as a list over seeds.

    Raises:
        ExpectedError: the run's folder holds hospitals of another plan or seed.
    """
    shared = SharedHospitals(request.out, request.seed)
    for variant in variants:
        shared.check_same(variant.plan)
    with request.watch("hospitals") as watcher:
        shared.prepare_missing(variants[0].plan, request.workers, watcher.hospital)
    found: list[list[FinishedArm]] = [[] for _ in variants]
    for seed in seeds:
        for index, variant in enumerate(variants):
            found[index].append(_run_arm(_set_seed(variant, seed, request.seed), seed, folder, (shared, request)))
    return found


def _run_arm(
    variant: Variant, seed: int, folder: Path, means: tuple[SharedHospitals, ExperimentRequest]
) -> FinishedArm:
    (shared, request), arm = means, variant.arm
    plan = pool_plan(variant.plan) if arm.pooled else variant.plan
    out = folder / "arms" / f"{_make_slug(arm.label)}-seed{seed}-{plan.digest()[:8]}"
    for place in (request.out / BASELINES / POOLED if arm.pooled else request.out, out):
        if (_is_plan_done if arm.pooled else _is_finished)(place, plan, seed):
            return FinishedArm(arm.label, seed, plan, place)
    shared.link_into(out, plan.processing)
    with request.watch(f"{arm.label}, seed {seed}") as watcher:
        if arm.pooled:
            _train_pooled(plan, out, seed, watcher.event)
        else:
            _federate(variant, RunSettings(out / PLAN_FILE, out, seed, request.workers), watcher)
    return FinishedArm(arm.label, seed, plan, out)


def _train_pooled(plan: Plan, out: Path, seed: int, listener: Listener) -> None:
    """Run, or resume, a plan at one site with the lesions of all hospitals below `out`."""
    torch.set_num_threads(1)
    folders = {folder.name: folder for folder in sorted((out / HOSPITALS).glob("site-*"))}
    away = {format_site_name(center) for center in parse_simulation(plan.simulation).without}
    opener = PooledOpener(folders, plan.processing, frozenset(folders) - away, out / "memory")
    run(plan, InlineLink([POOLED], opener), Store(out), seed, listener)


def _federate(variant: Variant, settings: RunSettings, watcher: RunObserver) -> None:
    """Run an arm with its own plan file."""
    text = yaml.safe_dump(variant.values, sort_keys=False, allow_unicode=True)
    write_atomically(settings.plan, text.encode(), PUBLIC)
    if load_plan(settings.plan).digest() != variant.plan.digest():
        raise ExpectedError(f"expected the plan of arm {variant.arm.label!r}, {settings.plan} differs; report this")
    run_study(settings, watcher)


def _set_seed(variant: Variant, seed: int, hospitals: int) -> Variant:
    """The variant with the hospitals of the run, even if training has another seed."""
    if seed == hospitals:
        return variant
    simulation: Mapping[str, object] = {**variant.plan.simulation, "seed": hospitals}
    values = apply_overrides(variant.values, (), {"simulation.seed": hospitals})
    return replace(variant, values=values, plan=replace(variant.plan, simulation=simulation))


def _is_finished(out: Path, plan: Plan, seed: int) -> bool:
    if not (out / RESULTS).exists():
        return False
    found = read_results(out)
    return bool(found.get("plan_digest") == plan.digest() and found.get("seed") == seed)


def _is_plan_done(out: Path, plan: Plan, seed: int) -> bool:
    """Whether a baseline, which writes checkpoints only, has finished the plan there."""
    try:
        progress = Store(out).latest(plan.digest(), seed)
    except ExpectedError:  # of another plan or seed
        return False
    return progress is not None and plan.current(progress.stage) is None


def _make_slug(label: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", label.lower()).strip("-") or "arm"


def add_confusions(found: Sequence[Counts | None]) -> Counts | None:
    """The sum of the confusion matrices of several cohorts."""
    known = [confusion for confusion in found if confusion is not None]
    return np.sum(known, axis=0) if known else None
