"""The report's section on the test sets: each in full, whether probabilities can be believed, and single sites."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ceus_models.study.taxonomy import LESION_TYPES
from server.report import cells
from server.report.cells import Row
from server.report.figures.calibration import reliability
from server.report.figures.model_figures import confusion_figure, roc_figure
from server.report.reference_study import study_metric
from server.report.values import (
    COHORT_TITLES,
    METRIC_TITLES,
    Results,
    cohort_size,
    estimate,
    lookup,
    metric,
    models_of,
    number,
    section,
    support,
    tested_cohorts,
)

_TYPE_METRICS = (("recall",), ("auc",), ("sensitivity_at", "0.90"), ("one_vs_rest_accuracy",))


def test_sets(results: Results) -> dict[str, Any]:
    """Each test cohort: metrics, types, confusion, ROC, calibration and sites."""
    cohorts = [_cohort(results, cohort) for cohort in tested_cohorts(results)]
    return {"cohorts": cohorts, "metrics": list(METRIC_TITLES.values())} if cohorts else {}


def _cohort(results: Results, cohort: str) -> dict[str, Any]:
    *others, last = models_of(results, cohort)
    return {
        "title": COHORT_TITLES[cohort],
        "lesions": cells.format_lesions(cohort_size(results, cohort)),
        "metrics": list(_metric_rows(results, cohort)),
        "model": last,
        "drawings": [*_pair(results, cohort, last), reliability(results, cohort)],
        "types": list(_type_rows(results, cohort, last)),
        "others": {model: _pair(results, cohort, model) for model in others},
        "sites": list(_site_rows(results, cohort, last)),
    }


def _pair(results: Results, cohort: str, model: str) -> list[str | None]:
    return [confusion_figure(results, cohort, model), roc_figure(results, cohort, model)]


def _metric_rows(results: Results, cohort: str) -> Iterator[Row]:
    for model in models_of(results, cohort):
        ece = number(lookup(results, "cohorts", cohort, "models", model, "calibration", "all", "ece"))
        found = [cells.format_value(metric(results, cohort, model, name)) for name in (*METRIC_TITLES, "brier")]
        yield [f"Model {model}", *found, cells.format_decimal(ece)]
    study = [study_metric(cohort, "DCB", name) for name in METRIC_TITLES]
    if any(study):
        yield ["Study's DCB", *(cells.format_reference(item) for item in (*study, None, None))]


def _type_rows(results: Results, cohort: str, model: str) -> Iterator[Row]:
    counts = support(results, cohort)
    for kind in LESION_TYPES:
        found = [cells.format_value(metric(results, cohort, model, *path, kind)) for path in _TYPE_METRICS]
        yield [kind, cells.format_lesions(counts.get(kind)), *found]


def _site_rows(results: Results, cohort: str, model: str) -> Iterator[Row]:
    """Sites that let their own be shown: at least their minimum cell of lesions."""
    for site, own in section(results, "sites", cohort, f"fusion/{model}").items():
        yield [
            site,
            cells.format_lesions(int(number(lookup(own, "n")) or 0)),
            cells.format_value(estimate(own)),
        ]
