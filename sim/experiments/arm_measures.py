"""Measures of arms beside the main one: other nets, the AUC of each sub-model, and what an arm costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import fmean
from typing import NamedTuple

import numpy as np

from ceus_models.bundle.model_bundle import Bundle
from ceus_models.metrics.bootstrap import poisson_weights
from ceus_models.runtime.errors import ExpectedError
from ceus_models.study.taxonomy import SUBMODELS
from server.report.publish import RESULTS
from server.results import metrics
from server.results.metrics import Floats
from sim.experiments.arm_table import ALL_COHORTS
from sim.experiments.arms import FinishedArm
from sim.experiments.entry import Cell, Entry
from sim.experiments.experiment_file import Training
from sim.experiments.lesions import list_targets, load_groups
from sim.experiments.paired import Estimate, compute_difference, compute_estimate, is_significant
from sim.runs.run import read_results

REPLICATES = 1000
MEGABYTE = 1e6
Arms = Mapping[str, Sequence[FinishedArm]]
"""Label → the finished arm of each seed; the first arm is the reference."""


def combine_entries(entries: Mapping[str, Entry]) -> Entry:
    """One table of several measures, with figure and finding of the first. entries: by the name of the measure."""
    first = next(iter(entries.values()))
    rows = [[name, *row] for name, entry in entries.items() for row in entry.rows]
    columns = ["measure", *first.columns]
    columns[columns.index("low") - 1] = "value"
    return replace(first, columns=columns, rows=rows)


def add_measures(entry: Entry, experiment: Training, arms: Arms) -> Entry:
    """The entry of `combine_entries` with the rows and sentences of the further measures that the experiment wants."""
    rows, findings = list(entry.rows), [entry.finding]
    if experiment.submodel_auc:
        more, finding = _compare_submodels(experiment, arms)
        rows, findings = [*rows, *more], [*findings, finding]
    if experiment.costs:
        more, finding = _compare_costs(arms)
        rows, findings = [*rows, *more], [*findings, finding]
    return replace(entry, rows=rows, finding=" ".join(findings))


def _compare_submodels(experiment: Training, arms: Arms) -> tuple[list[list[Cell]], str]:
    """A row for each sub-model and arm, and for how many the arms differ from the first."""
    found = {label: [compute_auc_rows(run, experiment.cohorts) for run in runs] for label, runs in arms.items()}
    first = next(iter(arms))
    rows: list[list[Cell]] = []
    apart: dict[str, list[str]] = {label: [] for label in arms if label != first}
    for output in SUBMODELS:
        for label, seeds in found.items():
            own, against = ([of_seed[output].rows for of_seed in of] for of in (seeds, found[first]))
            known = not any(np.isnan(one[0]) for one in own)
            value = compute_estimate(own) if known else None
            beside = compute_difference(own, against) if known and label != first else None
            lesions = seeds[0][output].lesions
            rows.append([f"AUC of {output}", ALL_COHORTS, label, lesions, *_format(value), *_format(beside)])
            if beside and is_significant(beside):
                apart[label].append(f"{output} ({beside.value:+.3f})")
    parts = [f"{label} against {first}: {', '.join(names) or 'none'}" for label, names in apart.items()]
    return rows, f"AUC of a sub-model that differs by more than the interval of the difference, {'; '.join(parts)}."


class AucRows(NamedTuple):
    """AUC (1+R) of a sub-model, NaN without a positive or a negative lesion, and the number of lesions."""

    rows: Floats
    lesions: int


def compute_auc_rows(run: FinishedArm, cohorts: Sequence[str]) -> dict[str, AucRows]:
    """AUC of each sub-model over all lesions of some cohorts together.

    Replicates have the sites' bootstrap weights of the seed, so the arms of a seed are paired.
    """
    progress = run.load_progress()
    if progress.recipe is None:
        raise ExpectedError(f"expected trained nets in {run.out}, found none; train sub-models in every arm")
    bundle = Bundle(progress.nets, progress.recipe, run.plan.processing, run.plan.digest())
    groups = load_groups(run.out, run.plan.processing, cohorts)
    keys = [sample.key for group in groups for sample in group.samples]
    said = np.concatenate([bundle.predict_submodels(group.samples) for group in groups])  # (n 9)
    draws = np.stack([poisson_weights(run.seed, key, REPLICATES) for key in keys]).astype(np.float64)  # (n 1+R)
    found: dict[str, AucRows] = {}
    for column, output in enumerate(SUBMODELS):
        target = list_targets(groups, output)
        known = target >= 0
        values, places = np.unique(said[known, column], return_inverse=True)
        cells = np.zeros((2, len(values), draws.shape[1]))
        np.add.at(cells, (target[known], places), draws[known])
        found[output] = AucRows(metrics.auc(np.moveaxis(cells, 2, 0)), int(known.sum()))
    return found


def _compare_costs(arms: Arms) -> tuple[list[list[Cell]], str]:
    measures = {"MB of a site": count_megabytes, "processor minutes": count_processor_minutes}
    rows: list[list[Cell]] = []
    told: list[str] = []
    for name, measure in measures.items():
        found = {label: round(fmean(measure(run) for run in runs), 2) for label, runs in arms.items()}
        first = next(iter(found.values()))
        rows += [
            [name, "", label, None, value, None, None, None if place == 0 else round(value - first, 2), None, None]
            for place, (label, value) in enumerate(found.items())
        ]
        told.append(f"{name}: {', '.join(f'{label} {value:g}' for label, value in found.items())}")
    return rows, f"{'; '.join(told)}."


def count_megabytes(run: FinishedArm) -> float:
    """MB of the encoded tasks and answers of all rounds, of a site on average."""
    progress = run.load_progress()
    return sum(record.sent + record.received for record in progress.participation) / len(progress.counts) / MEGABYTE


def count_processor_minutes(run: FinishedArm) -> float:
    """Processor time of all stages but the hospitals', in minutes. Raises ExpectedError where none was measured."""
    stages = read_results(run.out)["stages"]
    names = [stage.name for stage in run.plan.stages]
    if not all("processor_s" in stages.get(name, {}) for name in names):
        raise ExpectedError(f"expected processor_s of every stage in {run.out / RESULTS}, found none; run it anew")
    return sum(float(stages[name]["processor_s"]) for name in names) / 60


def _format(value: Estimate | None) -> list[float | None]:
    return [None, None, None] if value is None else value.as_cells
