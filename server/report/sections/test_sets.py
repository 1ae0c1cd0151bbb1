"""The report's section on the test sets: each in full, whether probabilities can be believed, and single sites."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest
from typing import Any

from ceus_models.study.taxonomy import FUSION_MODELS, LESION_TYPES
from server.report import cells
from server.report.cells import Cell, Row
from server.report.figures.calibration import reliability
from server.report.figures.model_figures import confusion_figure, roc_figure
from server.report.reference_study import study_metric
from server.report.values import (
    COHORT_TITLES,
    METRIC_TITLES,
    Estimate,
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
    whole,
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
        "bins": list(_bin_rows(results, cohort, last)),
        "heterogeneity": _describe_sites(results, cohort, last),
    }


def _pair(results: Results, cohort: str, model: str) -> list[str | None]:
    return [confusion_figure(results, cohort, model), roc_figure(results, cohort, model)]


def _metric_rows(results: Results, cohort: str) -> Iterator[Row]:
    for model in models_of(results, cohort):
        ece = number(lookup(results, "cohorts", cohort, "models", model, "calibration", "all", "ece"))
        found = [cells.format_value(metric(results, cohort, model, name)) for name in (*METRIC_TITLES, "brier")]
        yield [f"Model {model}", *found, cells.format_decimal(ece)]
    for model in FUSION_MODELS:
        study = [study_metric(cohort, model, name) for name in METRIC_TITLES]
        if any(study):
            yield [f"Study's {model}", *(cells.format_reference(item) for item in (*study, None, None))]


def _type_rows(results: Results, cohort: str, model: str) -> Iterator[Row]:
    counts = support(results, cohort)
    for kind in LESION_TYPES:
        found = [cells.format_value(metric(results, cohort, model, *path, kind)) for path in _TYPE_METRICS]
        curve = lookup(results, "cohorts", cohort, "models", model, "calibration", "classes", kind)
        line = [_format_line(estimate(lookup(curve, name))) for name in ("slope", "intercept")]
        yield [kind, cells.format_lesions(counts.get(kind)), *found, *line]


def _format_line(found: Estimate | None) -> Cell:
    return cells.NONE if found is None else Cell(f"{found.value:.2f}", cells.format_interval(found, ".2f", " to "))


def _bin_rows(results: Results, cohort: str, model: str) -> Iterator[Row]:
    """The reliability curve in numbers: mean probability, share of the type, and how many lesions are in the bin."""
    calibration = section(results, "cohorts", cohort, "models", model, "calibration")
    curves = {"lesions \N{MULTIPLICATION SIGN} types": section(calibration, "all"), **section(calibration, "classes")}
    for name, curve in curves.items():
        columns = [curve.get(key) or [] for key in ("predicted", "observed", "low", "high", "n")]
        for predicted, observed, low, high, n in zip_longest(*columns):
            share = cells.format_value(estimate({"value": observed, "low": low, "high": high}))
            yield [name, cells.format_decimal(number(predicted)), share, cells.format_lesions(whole(n))]


def _describe_sites(results: Results, cohort: str, model: str) -> str:
    """How much the sites that are shown differ, in a sentence."""
    found = section(results, "heterogeneity", cohort, f"fusion/{model}")
    mean, i_squared = estimate(found.get("mean")), number(found.get("i_squared"))
    ends = [number(lookup(found, "prediction", key)) for key in ("low", "high")]
    if mean is None or i_squared is None or mean.low is None or mean.high is None or None in ends:
        return ""
    hidden = (whole(lookup(results, "flow", cohort, "sites")) or 0) > (whole(found.get("sites")) or 0)
    lacking = " Only sites with a minimum cell of right and of wrong answers are among them, so the best are missing."
    return (
        f"{found['sites']} sites, random effects: accuracy {mean.value:.3f} (95 % interval {mean.low:.3f} to "
        f"{mean.high:.3f}); I² {100 * i_squared:.0f} %; another site would lie between {ends[0]:.3f} and {ends[1]:.3f} "
        f"(95 % prediction interval).{lacking if hidden else ''}"
    )


def _site_rows(results: Results, cohort: str, model: str) -> Iterator[Row]:
    """Sites that let their own be shown: at least their minimum cell of lesions."""
    for site, own in section(results, "sites", cohort, f"fusion/{model}").items():
        yield [
            site,
            cells.format_lesions(int(number(lookup(own, "n")) or 0)),
            cells.format_value(estimate(own)),
        ]
