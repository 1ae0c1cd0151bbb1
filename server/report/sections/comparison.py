"""The report's section that compares trainings: federated, pooled, and each center by itself."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import fmean
from typing import Any

from ceus_models.study.taxonomy import TEST_COHORTS
from server.report import cells
from server.report.cells import Row
from server.report.sections.baselines import build_baselines
from server.report.sections.mcnemar_tables import format_equivalence
from server.report.values import PLACE_TITLES, Estimate, Results, estimate, lookup, section

_TRAININGS = ("federated", "pooled")
_ALL = "all_tests"


def comparison(results: Results) -> dict[str, Any]:
    """Federated against pooled training and against each center by itself."""
    found = section(results, "comparison")
    names = [name for name in TEST_COHORTS if any(_parse_entry(found, key, name) for key in _TRAININGS)]
    places = [*names, *([_ALL] if len(names) > 1 else [])]
    return {"rows": [_row(found, place) for place in places], "classical": build_baselines(results)} if names else {}


def _row(found: Mapping[str, Any], place: str) -> Row:
    alone = section(found, "alone")
    values = [item.value for site in alone if (item := _parse_entry(alone, site, place)) is not None]
    federated, pooled = (_parse_entry(found, key, place) for key in _TRAININGS)
    gap = estimate(lookup(found, "equivalence", place, "difference"))
    if gap is None and federated and pooled:
        gap = Estimate(federated.value - pooled.value)
    verdict = format_equivalence(lookup(found, "equivalence", place, "equivalence"))
    own = (max(values), fmean(values)) if values else (None, None)
    trained = [cells.format_value(federated), cells.format_value(pooled), cells.format_difference(gap), verdict]
    return [PLACE_TITLES[place], *trained, *map(cells.format_decimal, own), cells.format_count(len(values) or None)]


def _parse_entry(found: Mapping[str, Any], key: str, place: str) -> Estimate | None:
    """The accuracy of a training on a test cohort; on all of them together, where each says on how many lesions."""
    if place != _ALL:
        raw = lookup(found, key, place)
        return estimate(lookup(raw, "accuracy")) or estimate(raw)
    each = [_parse_entry(found, key, name) for name in TEST_COHORTS if lookup(found, key, name) is not None]
    known = [(one.value, one.n) for one in each if one is not None and one.n]
    if not known or len(known) < len(each):
        return None
    lesions = sum(n for _, n in known)
    return Estimate(sum(value * n for value, n in known) / lesions, n=lesions)
