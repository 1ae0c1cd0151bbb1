"""The report's section that compares trainings: federated, pooled, and each center by itself."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import fmean
from typing import Any

from ceus_models.study.taxonomy import TEST_COHORTS
from server.report import cells
from server.report import csv_tables as numbers
from server.report.html import Cell, Html, paragraph, table
from server.report.html import section as html_section
from server.report.values import PLACE_TITLES, Estimate, Results, at, estimate, section

_TRAININGS = ("federated", "pooled")
_ALL = "all_tests"
_HEAD = ["Test cohort", "Federated", "Pooled", "Federated minus pooled", "Best center alone", "Mean center alone"]
_NOTE = (
    "Alone: a center that learns from its own lesions only, fusion included, and is tested on the lesions of all. "
    "Intervals of the differences over several seeds: experiment pooled. Every model on every site: experiment matrix."
)


def comparison(results: Results) -> Html:
    """Federated against pooled training and against each center by itself."""
    found = section(results, "comparison")
    names = [name for name in TEST_COHORTS if any(_compared(found, key, name) for key in _TRAININGS)]
    if not names:
        return Html("")
    rows = [_row(found, place) for place in (*names, *([_ALL] if len(names) > 1 else []))]
    content = table([*_HEAD, "Centers"], rows, "Accuracy of the full model; as many passes over each lesion")
    parts = [content, paragraph(_NOTE, "note"), numbers.download(results, "comparison")]
    return html_section("comparison", "Federated, pooled, alone", parts)


def _row(found: Mapping[str, Any], place: str) -> list[Cell]:
    alone = section(found, "alone")
    values = [item.value for site in alone if (item := _compared(alone, site, place)) is not None]
    federated, pooled = (_compared(found, key, place) for key in _TRAININGS)
    gap = Estimate(federated.value - pooled.value) if federated and pooled else None
    best, mean = (max(values), fmean(values)) if values else (None, None)
    own = [cells.DASH if item is None else f"{item:.3f}" for item in (best, mean)]
    trained = [cells.value(federated), cells.value(pooled), cells.signed(gap)]
    return [PLACE_TITLES[place], *trained, *own, cells.count(len(values) or None)]


def _compared(found: Mapping[str, Any], key: str, place: str) -> Estimate | None:
    """The accuracy of a training on a test cohort; on all of them together, where each says on how many lesions."""
    if place != _ALL:
        raw = at(found, key, place)
        return estimate(at(raw, "accuracy")) or estimate(raw)
    each = [_compared(found, key, name) for name in TEST_COHORTS if at(found, key, name) is not None]
    known = [(one.value, one.n) for one in each if one is not None and one.n]
    if not known or len(known) < len(each):
        return None
    lesions = sum(n for _, n in known)
    return Estimate(sum(value * n for value, n in known) / lesions, n=lesions)
