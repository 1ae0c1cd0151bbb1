"""The report's section on the test sets: each in full, whether probabilities can be believed, and single sites."""

from __future__ import annotations

from collections.abc import Iterator

from ceus_models.study.taxonomy import LESION_TYPES
from server.report import cells
from server.report import csv_tables as numbers
from server.report.figures import calibration as calibration_figure
from server.report.figures import model_figures as figures
from server.report.html import Cell, Html, details, figure, grid, joined, paragraph, section, table, tag
from server.report.reference_study import study_metric
from server.report.values import (
    COHORT_TITLES,
    METRIC_TITLES,
    Estimate,
    Results,
    at,
    cohort_size,
    estimate,
    metric,
    models_of,
    number,
    support,
    tested_cohorts,
)
from server.report.values import section as part

_TYPE_HEAD = ["Type", "Lesions", "Recall", "AUC", "Sensitivity at 0.90", "One-vs-rest accuracy"]
_TYPE_METRICS = (("recall",), ("auc",), ("sensitivity_at", "0.90"), ("one_vs_rest_accuracy",))


def test_sets(results: Results) -> Html:
    """Each test cohort: metrics, types, confusion, ROC, calibration and sites."""
    names = tested_cohorts(results)
    blocks = [block for cohort in names for block in _block(results, cohort)]
    if not blocks:
        return Html("")
    note = paragraph(
        "Sensitivity at 0.90: the highest of a threshold whose specificity is 0.90 or more, type against the rest. "
        "ECE: expected calibration error over ten even bins of the answer's probability. † fewer than ten lesions.",
        "note",
    )
    return section("test-sets", "Test sets", [*blocks, note, numbers.download(results, "models", "sites")])


def _block(results: Results, cohort: str) -> Iterator[Html]:
    present = models_of(results, cohort)
    last = present[-1]
    yield tag("h3", f"{COHORT_TITLES[cohort]} ({cells.lesions(cohort_size(results, cohort))} lesions)")
    yield table(["", *METRIC_TITLES.values(), "Brier", "ECE"], _metric_rows(results, cohort), "All metrics")
    types = table(_TYPE_HEAD, _type_rows(results, cohort, last), f"By lesion type, model {last}")
    reliable = figure(calibration_figure.reliability(results, cohort))
    yield grid([*_pair(results, cohort, last), reliable])
    yield types
    others = joined(grid(_pair(results, cohort, model)) for model in present[:-1])
    yield details(f"Models {', '.join(present[:-1])} on {COHORT_TITLES[cohort]}", others)
    yield details(f"Single sites on {COHORT_TITLES[cohort]}", _sites(results, cohort, last))


def _pair(results: Results, cohort: str, model: str) -> list[Html]:
    confusion = figures.confusion_figure(results, cohort, model)
    return [figure(confusion), figure(figures.roc_figure(results, cohort, model))]


def _metric_rows(results: Results, cohort: str) -> Iterator[list[Cell]]:
    for model in models_of(results, cohort):
        ece = number(at(results, "cohorts", cohort, "models", model, "calibration", "answer", "ece"))
        yield [
            f"Model {model}",
            *(cells.value(metric(results, cohort, model, name)) for name in (*METRIC_TITLES, "brier")),
            cells.DASH if ece is None else f"{ece:.3f}",
        ]
    study: list[Estimate | None] = [study_metric(cohort, "DCB", name) for name in METRIC_TITLES]
    if any(study):
        yield ["Study's DCB", *(cells.published(item) for item in (*study, None, None))]


def _type_rows(results: Results, cohort: str, model: str) -> Iterator[list[Cell]]:
    counts = support(results, cohort)
    for kind in LESION_TYPES:
        found = [metric(results, cohort, model, *path, kind) for path in _TYPE_METRICS]
        yield [kind, cells.lesions(counts.get(kind)), *(cells.value(item) for item in found)]


def _sites(results: Results, cohort: str, model: str) -> Html:
    """Sites that let their own be shown: at least their minimum cell of lesions."""
    found = part(results, "sites", cohort, f"fusion/{model}")
    if not found:
        return Html("")
    rows: list[list[Cell]] = [
        [site, cells.lesions(int(number(at(own, "n")) or 0)), cells.value(estimate(at(own, "value")))]
        for site, own in found.items()
    ]
    return table(["Site", "Lesions", "Accuracy"], rows, f"Model {model} at single sites")
