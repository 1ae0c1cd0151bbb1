"""The report's section on use: decision curves, predictive values, sets of types, and answering only when sure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ceus_models.study.taxonomy import FUSION_MODELS, LESION_TYPES, TEST_COHORTS
from server.report import cells
from server.report.cells import Row
from server.report.figures.clinical_use import decision_figure, selective_figure
from server.report.values import COHORT_TITLES, PLACE_TITLES, Results, estimate, lookup, metric, number, section

QUESTIONS: Mapping[str, str] = {"malignant": "Malignant against benign", "HCC": "HCC against the rest"}
_PREVALENCES: Mapping[str, str] = {"0.10": "0.10 (check-up)", "0.50": "0.50 (outpatients)", "0.90": "0.90 (inpatients)"}
_POOL = "all_tests"


def clinical_use(results: Results) -> dict[str, Any]:
    """What acting on the models is worth, on each test cohort and on all of them together."""
    found = section(results, "use")
    places = [place for place in (*TEST_COHORTS, _POOL) if section(found, place)]
    if not places:
        return {}
    main = [_POOL] if _POOL in places else places[-1:]
    return {
        "model": _fullest(found, main[0]),
        "main": [drawing for place in main for drawing in _draw(results, found, place)],
        "others": {PLACE_TITLES[p]: list(_draw(results, found, p)) for p in places if p not in main},
        "predictive": [row for place in places for row in _predictive_rows(found, place)],
        "selective": [row for place in main for row in _selective_rows(found, place)],
        "place": PLACE_TITLES[main[0]],
        "sets": [row for place in TEST_COHORTS for row in _set_rows(found, place)],
        "types": list(LESION_TYPES),
        "chosen": next((COHORT_TITLES[c] for p in places if (c := _chosen(found, p)) is not None), None),
    }


def _fullest(found: Mapping[str, Any], place: str) -> str:
    """The name of the fullest model that was evaluated there."""
    return next(model for model in reversed(FUSION_MODELS) if section(found, place, f"fusion/{model}"))


def _chosen(found: Mapping[str, Any], place: str) -> str | None:
    name = lookup(found, place, f"fusion/{_fullest(found, place)}", "sets", "calibrated_on")
    return name if name in COHORT_TITLES else None


def _draw(results: Results, found: Mapping[str, Any], place: str) -> Iterator[str | None]:
    models = {m: section(found, place, f"fusion/{m}") for m in FUSION_MODELS if section(found, place, f"fusion/{m}")}
    for question, title in QUESTIONS.items():
        yield decision_figure(place, question, title, {m: section(one, "decision") for m, one in models.items()})
    sure = {model: dict(section(one, "selective")) for model, one in models.items()}
    for model, points in sure.items():
        overall = metric(results, place, model, "accuracy")
        if overall is not None:
            points["all"] = {
                "answered": 1.0,
                "accuracy": lookup(results, "cohorts", place, "models", model, "accuracy"),
            }
    yield selective_figure(place, sure)


def _predictive_rows(found: Mapping[str, Any], place: str) -> Iterator[Row]:
    entry = section(found, place, f"fusion/{_fullest(found, place)}", "predictive")
    for question, title in QUESTIONS.items():
        one = section(entry, question)
        if one:
            sides = [cells.format_value(estimate(one.get(name))) for name in ("sensitivity", "specificity")]
            values = [
                cells.format_value(estimate(lookup(one, key, name))) for key in _PREVALENCES for name in ("ppv", "npv")
            ]
            yield [f"{PLACE_TITLES[place]}: {title}", *sides, *values]


def _selective_rows(found: Mapping[str, Any], place: str) -> Iterator[Row]:
    for key, one in section(found, place, f"fusion/{_fullest(found, place)}", "selective").items():
        lesions = estimate(lookup(one, "accuracy"))
        shown = [cells.format_value(estimate(lookup(one, name))) for name in ("answered", "accuracy")]
        yield [f"above {key}", cells.format_lesions(None if lesions is None else lesions.n), *shown]


def _set_rows(found: Mapping[str, Any], place: str) -> Iterator[Row]:
    if not section(found, place):
        return
    one = section(found, place, f"fusion/{_fullest(found, place)}", "sets")
    if one:
        each = [cells.format_value(estimate(lookup(one, "by_type", kind))) for kind in LESION_TYPES]
        size = cells.format_decimal(number(one.get("mean_size")), ".2f")
        yield [PLACE_TITLES[place], cells.format_value(estimate(one.get("coverage"))), size, *each]
