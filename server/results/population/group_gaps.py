"""Gaps of accuracy between groups: the largest of each variable, with an interval that knows it was chosen."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import Any

from ceus_models.study.subgroups import UNKNOWN
from server.results.uncertainty.proportions import LEVEL, subtract_independent


def find_gaps(variables: Mapping[str, Mapping[str, Mapping[str, Any]]], design: float = 1.0) -> dict[str, Any]:
    """The largest gap of accuracy of each variable that has two shown values.

    The interval is Newcombe's, at a level that holds for all pairs of the variable's values at once (Bonferroni),
    because the pair is chosen for its gap.

    Args:
        variables: variable → value → {value, n}, as in `subgroup_results`.
        design: effect of patients with several lesions.

    Returns:
        Variable → {highest, lowest, difference: {value, low, high, n}, pairs}.
    """
    found = {}
    for variable, values in variables.items():
        shown = {name: one for name, one in values.items() if one.get("value") is not None and name != UNKNOWN}
        pairs = len(list(combinations(shown, 2)))
        if not pairs:
            continue
        high, low = (pick(shown, key=lambda name: shown[name]["value"]) for pick in (max, min))
        sides = [(one["value"] * one["n"] / design, one["n"] / design) for one in (shown[high], shown[low])]
        ends = subtract_independent(sides[0], sides[1], 1 - (1 - LEVEL) / pairs)
        gap = shown[high]["value"] - shown[low]["value"]
        lesions = shown[high]["n"] + shown[low]["n"]
        difference = {"value": gap, "low": ends[0], "high": ends[1], "n": lesions}
        found[variable] = {"highest": high, "lowest": low, "difference": difference, "pairs": pairs}
    return found
