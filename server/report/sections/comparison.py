"""The report's section that compares trainings: federated, pooled, each center by itself, and classical baselines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from statistics import fmean
from typing import Any

from ceus_models.study.taxonomy import TEST_COHORTS
from server.report import cells
from server.report.cells import Row
from server.report.sections.mcnemar_tables import format_equivalence
from server.report.values import CLASSIFIER_TITLES, PLACE_TITLES, Estimate, Results, estimate, lookup, number, section
from server.results.uncertainty.proportions import wilson_interval

_TRAININGS = ("federated", "pooled")
_ALL = "all_tests"
TITLES: Mapping[str, str] = {
    "clinical": "Clinical variables alone (logistic regression)",
    "curve": "Curve parameters (randomised trees)",
    "zones": "Radial zones (randomised trees)",
    **CLASSIFIER_TITLES,
}
_PLACES = ("validation", *TEST_COHORTS, "all_tests")
Scores = dict[str, Estimate | None]


def comparison(results: Results) -> dict[str, Any]:
    """Federated against pooled training and against each center by itself."""
    found = section(results, "comparison")
    names = [name for name in TEST_COHORTS if any(_parse_entry(found, key, name) for key in _TRAININGS)]
    places = [*names, *([_ALL] if len(names) > 1 else [])]
    effect = number(lookup(results, "design", _ALL, "effect")) or 1.0
    return (
        {"rows": [_row(found, place, effect) for place in places], "classical": _build_baselines(results)}
        if names
        else {}
    )


def _row(found: Mapping[str, Any], place: str, effect: float) -> Row:
    """effect: of patients with several lesions, on all tests together."""
    alone = section(found, "alone")
    values = [item.value for site in alone if (item := _parse_entry(alone, site, place)) is not None]
    federated, pooled = (_bound(_parse_entry(found, key, place), effect) for key in _TRAININGS)
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


def _bound(found: Estimate | None, effect: float) -> Estimate | None:
    """With Wilson's interval, where it has none of its own: an accuracy of several tests together."""
    if found is None or found.low is not None or not found.n:
        return found
    low, high = wilson_interval(found.value * found.n / effect, found.n / effect)
    return replace(found, low=low, high=high)


def list_accuracies(results: Results) -> dict[str, Scores]:
    """Classical baseline or net → cohort or pool → accuracy; only places that one of them answered."""
    found = {
        name: {place: estimate(lookup(scores, place, "accuracy") or lookup(scores, place)) for place in _PLACES}
        for part in ("classical", "nets")
        for name, scores in section(results, "comparison", part).items()
        if name in TITLES
    }
    shown = [place for place in _PLACES if any(scores[place] for scores in found.values())]
    return {name: {place: scores[place] for place in shown} for name, scores in found.items()}


def list_verdicts(results: Results) -> list[str]:
    """One sentence for each place where the zones were held against a net."""
    return [
        _say(place, one) for place, one in section(results, "comparison", "zones_over_nets").items() if place in _PLACES
    ]


def _say(place: str, found: Mapping[str, Any]) -> str:
    gap = estimate(found.get("difference"))
    net = CLASSIFIER_TITLES.get(str(found.get("net")), "the net")
    if gap is None:
        return f"{PLACE_TITLES[place]}: radial zones and {net} were not compared."
    amount = f"{gap.value:+.3f} ({', '.join(cells.format_interval(gap, '+.3f', ' to '))})"
    if found.get("beats"):
        beaten = f"radial zones beat {net} by more than the interval, {amount}"
        return f"{PLACE_TITLES[place]}: {beaten}: the net reads less than the frames hold."
    return f"{PLACE_TITLES[place]}: radial zones do not beat {net} by more than the interval, {amount}."


def _build_baselines(results: Results) -> dict[str, Any]:
    """Head, rows and verdicts of the report's table; empty where a run has no classical baselines."""
    if not section(results, "comparison", "classical"):
        return {}
    scores = list_accuracies(results)
    places = list(next(iter(scores.values())))
    rows: list[Row] = [
        [TITLES[name], *(cells.format_value(one) for one in found.values())] for name, found in scores.items()
    ]
    return {"head": ["Accuracy", *(PLACE_TITLES[p] for p in places)], "rows": rows, "verdicts": list_verdicts(results)}
