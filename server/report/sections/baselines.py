"""Classical baselines beside the nets: a row for each, a column for validation and each test cohort, and a verdict."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ceus_models.study.taxonomy import TEST_COHORTS
from server.report.cells import Row, format_interval, format_value
from server.report.values import CLASSIFIER_TITLES, PLACE_TITLES, Estimate, Results, estimate, lookup, section

TITLES: Mapping[str, str] = {
    "clinical": "Clinical variables alone (logistic regression)",
    "curve": "Curve parameters (randomised trees)",
    "zones": "Radial zones (randomised trees)",
    **CLASSIFIER_TITLES,
}
_PLACES = ("validation", *TEST_COHORTS, "all_tests")
Scores = dict[str, Estimate | None]


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
    amount = f"{gap.value:+.3f} ({', '.join(format_interval(gap, '+.3f', ' to '))})"
    if found.get("beats"):
        beaten = f"radial zones beat {net} by more than the interval, {amount}"
        return f"{PLACE_TITLES[place]}: {beaten}: the net reads less than the frames hold."
    return f"{PLACE_TITLES[place]}: radial zones do not beat {net} by more than the interval, {amount}."


def build_baselines(results: Results) -> dict[str, Any]:
    """Head, rows and verdicts of the report's table; empty where a run has no classical baselines."""
    if not section(results, "comparison", "classical"):
        return {}
    scores = list_accuracies(results)
    places = list(next(iter(scores.values())))
    rows: list[Row] = [[TITLES[name], *(format_value(one) for one in found.values())] for name, found in scores.items()]
    return {"head": ["Accuracy", *(PLACE_TITLES[p] for p in places)], "rows": rows, "verdicts": list_verdicts(results)}
