"""The matrix of models (federated, pooled, each center alone) and places (test cohorts, each center's lesions)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import torch

from ceus_models.bundle.model_bundle import Bundle, load_bundle
from ceus_models.plan.plan import Plan, load_plan, parse_plan
from ceus_models.runtime.atomic_files import PUBLIC, write_atomically
from ceus_models.runtime.errors import ExpectedError
from ceus_models.study.taxonomy import TEST_COHORTS
from client.data.dataset.worker_pool import map_trusted
from server.report.publish import BUNDLE, RESULTS
from server.report.values import COHORT_TITLES
from server.rounds.saving.checkpoint_header import read_newest
from server.rounds.saving.checkpoints import Store
from sim.experiments.arms import PLAN_FILE
from sim.experiments.entry import Cell, Entry
from sim.experiments.experiment_file import Matrix
from sim.experiments.lesions import FinishedRun, list_targets, load_groups, predict_groups
from sim.hospital.prepare import format_site_name, parse_simulation
from sim.runs.baselines import BASELINES, POOLED, centralise_plan, localise_plan, pool_plan

FEDERATED = "federated"
LEFT_OUT = "experiments/leave_one_out/arms"
ShowCount = Callable[[str], AbstractContextManager[Callable[[int, int], None]]]
Scores = Mapping[str, tuple[int, int]]
"""Place → correctly classified lesions, and all lesions."""


@dataclass(frozen=True)
class TrainedModel:
    """A finished model: `place` is a bundle, or a folder of checkpoints of a baseline with this `plan`."""

    name: str
    place: Path
    plan: Plan | None
    seed: int

    def open_bundle(self) -> Bundle:
        """The model as a bundle. Raises ExpectedError if the checkpoint is missing."""
        if self.plan is None:
            return load_bundle(self.place)
        progress = Store(self.place).latest(self.plan.digest(), self.seed)
        if progress is None or progress.recipe is None:
            raise ExpectedError(f"expected a checkpoint in {self.place}, found none; run `ceus-sim compare`")
        return Bundle(progress.nets, progress.recipe, self.plan.processing, self.plan.digest())


@dataclass(frozen=True)
class ModelJob:
    """One row of the matrix, for a worker process; the result is cached in `kept`. Picklable."""

    run: Path
    model: TrainedModel
    experiment: Matrix
    kept: Path

    def scores(self) -> Scores:
        """Scores by test cohort and by site, from the cache if they are there."""
        if not self.kept.exists():
            torch.set_num_threads(1)
            write_atomically(self.kept, json.dumps(self._count_correct()).encode(), PUBLIC)
        found: dict[str, list[int]] = json.loads(self.kept.read_text(encoding="utf-8"))
        return {place: (right, lesions) for place, (right, lesions) in found.items()}

    def _count_correct(self) -> dict[str, tuple[int, int]]:
        bundle, found = self.model.open_bundle(), dict[str, tuple[int, int]]()
        for group in load_groups(self.run, bundle.processing, (*TEST_COHORTS, *self.experiment.own)):
            place = group.cohort if group.cohort in TEST_COHORTS else group.site
            target = list_targets([group], self.experiment.net)
            classes = predict_groups(bundle, [group], self.experiment.net).argmax(1)
            right, lesions = found.get(place, (0, 0))
            found[place] = right + int((classes == target).sum()), lesions + int((target >= 0).sum())
        return found


def run_site_matrix(experiment: Matrix, run: FinishedRun, folder: Path, workers: int, counted: ShowCount) -> Entry:
    """Run the experiment; rows are cached in `folder`, `counted` shows the progress."""
    models = list(list_models(run))
    jobs = [ModelJob(run.folder, model, experiment, _row_path(folder, model, run, experiment)) for model in models]
    found: dict[str, Scores] = {}
    with counted("models on all sites") as tell:
        for job, scores in map_trusted(ModelJob.scores, jobs, workers):
            found[job.model.name] = scores
            tell(len(found), len(jobs))
    return build_entry(experiment, {model.name: found[model.name] for model in models})


def list_models(run: FinishedRun) -> Iterator[TrainedModel]:
    """The federated model, finished baselines of `ceus-sim compare`, and federations without a center."""
    yield TrainedModel(FEDERATED, run.folder / BUNDLE, None, run.seed)
    plan, _ = parse_plan(run.bundle.study["plan"])
    if plan is None:
        raise ExpectedError(
            f"expected a plan of this version in {run.folder / BUNDLE}, found another; finish the run again"
        )
    for place in sorted((run.folder / BASELINES).glob("*"), key=lambda path: (path.name != POOLED, path.name)):
        own = pool_plan(plan) if place.name == POOLED else centralise_plan(localise_plan(plan))
        seen = read_newest(place)
        if seen is not None and own.current(seen.stage) is None:
            yield TrainedModel(place.name, place, own, run.seed)
    for place in sorted(run.folder.glob(f"{LEFT_OUT}/*")):
        without = parse_simulation(load_plan(place / PLAN_FILE).simulation).without
        if without and (place / RESULTS).exists():
            yield TrainedModel(f"without {format_site_name(without[0])}", place / BUNDLE, None, run.seed)


def build_entry(experiment: Matrix, scores: Mapping[str, Scores]) -> Entry:
    """A row a model: the test cohorts, the model's own center, and the other centers."""
    tests = [cohort for cohort in TEST_COHORTS if cohort in scores[FEDERATED]]
    sites = sorted(place for place in scores[FEDERATED] if place not in TEST_COHORTS)
    rows: list[list[Cell]] = []
    for name, found in scores.items():
        others = [site for site in sites if site != name]
        own = found.get(name, (0, 0))
        rows.append(
            [
                name,
                *(_compute_share(found[c]) for c in tests),
                _compute_share(own),
                own[1],
                _compute_share(_sum_counts(found, others)),
            ]
        )
    places = [*tests, *sites]
    cells = [[found[place] for place in places] for found in scores.values()]
    return Entry(
        title=experiment.title,
        columns=["model", *(COHORT_TITLES[c] for c in tests), "own lesions", "of these", "other centers' lesions"],
        rows=rows,
        figure={
            "kind": "matrix",
            "xlabel": f"lesions of; * fewer than {experiment.small}, %",
            "ylabel": "model of",
            "rows": list(scores),
            "columns": [f"{COHORT_TITLES.get(p, p)} ({scores[FEDERATED][p][1]})" for p in places],
            "values": [[_compute_share(cell) for cell in row] for row in cells],
            "flagged": [[cell[1] < experiment.small for cell in row] for row in cells],
        },
        finding=describe_finding(scores, tests, sites, experiment.small),
        details={"net": experiment.net, "own": list(experiment.own), "counts": {n: dict(s) for n, s in scores.items()}},
    )


def describe_finding(scores: Mapping[str, Scores], tests: Sequence[str], sites: Sequence[str], small: int) -> str:
    """The finding as text: the federated model beside the others on all test lesions and on each center's own."""
    whole = {name: _compute_share(_sum_counts(found, tests)) or 0.0 for name, found in scores.items()}
    texts = [f"On all test lesions: federated {whole[FEDERATED]:.3f}"]
    if POOLED in whole:
        texts.append(f"pooled {whole[POOLED]:.3f}")
    alone_ = {name: value for name, value in whole.items() if name in sites}
    if not alone_:
        return f"{texts[0]}. No center was trained alone: run `ceus-sim compare` for the other rows."
    best = max(alone_, key=lambda name: alone_[name])
    texts.append(f"centers alone {fmean(alone_.values()):.3f} on average and {alone_[best]:.3f} at best ({best})")
    home = [name for name in alone_ if scores[name][name][1] >= small]
    kept = [name for name in home if scores[FEDERATED][name][0] >= scores[name][name][0]]
    return (
        f"{', '.join(texts)}. At home the federated model is at least as good as the center's own in {len(kept)} of "
        f"{len(home)} centers with {small} or more lesions."
    )


def _row_path(folder: Path, model: TrainedModel, run: FinishedRun, experiment: Matrix) -> Path:
    made = load_bundle(model.place).fingerprint if model.plan is None else model.plan.digest()
    parts = [experiment.net, experiment.own, run.bundle.fingerprint, model.name, made, Store(model.place).newest()]
    digest = hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:12]
    return folder / "rows" / f"{model.name.replace(' ', '-')}-{digest}.json"


def _sum_counts(found: Scores, places: Sequence[str]) -> tuple[int, int]:
    chosen = [found[place] for place in places if place in found]
    return sum(right for right, _ in chosen), sum(lesions for _, lesions in chosen)


def _compute_share(cell: tuple[int, int]) -> float | None:
    return round(cell[0] / cell[1], 4) if cell[1] else None
