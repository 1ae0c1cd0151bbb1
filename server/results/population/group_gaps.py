"""Gaps of accuracy between groups: the largest of each variable, with an interval that knows it was chosen."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import Any

from ceus_models.study.subgroups import UNKNOWN
from server.results.uncertainty.proportions import LEVEL, subtract_independent

Expected = Mapping[str, Mapping[str, float]]
"""Variable → value → the accuracy that its lesions' types alone would give (indirect standardisation)."""


def find_gaps(
    variables: Mapping[str, Mapping[str, Mapping[str, Any]]], design: float = 1.0, expected: Expected | None = None
) -> dict[str, Any]:
    """The largest gap of accuracy of each variable that has two shown values.

    The interval is Newcombe's, at a level that holds for all pairs of the variable's values at once (Bonferroni),
    because the pair is chosen for its gap.

    Args:
        variables: variable → value → {value, n}, as in `subgroup_results`.
        design: effect of patients with several lesions.
        expected: taken as known; where two values have one, their gap is `adjusted` too, beyond what it says.

    Returns:
        Variable → {highest, lowest, difference: {value, low, high, n}, pairs, adjusted: the same}.
    """
    found = {}
    for variable, values in variables.items():
        shown = {name: one for name, one in values.items() if one.get("value") is not None and name != UNKNOWN}
        by_type = (expected or {}).get(variable, {})
        gap = _find_largest(shown, dict.fromkeys(shown, 0.0), design)
        adjusted = _find_largest({name: one for name, one in shown.items() if name in by_type}, by_type, design)
        if gap:
            found[variable] = gap | ({"adjusted": adjusted} if adjusted else {})
    return found


def _find_largest(
    shown: Mapping[str, Mapping[str, Any]], expected: Mapping[str, float], design: float
) -> dict[str, Any]:
    """The largest gap of what is beyond the expected; {} of fewer than two values."""
    pairs = len(list(combinations(shown, 2)))
    if not pairs:
        return {}
    beyond = {name: float(one["value"]) - expected[name] for name, one in shown.items()}
    high, low = (pick(beyond, key=lambda name: beyond[name]) for pick in (max, min))
    if high == low:  # all alike
        low = next(name for name in beyond if name != high)
    sides = [(one["value"] * one["n"] / design, one["n"] / design) for one in (shown[high], shown[low])]
    shift = expected[high] - expected[low]
    ends = [end - shift for end in subtract_independent(sides[0], sides[1], 1 - (1 - LEVEL) / pairs)]
    lesions = shown[high]["n"] + shown[low]["n"]
    difference = {"value": beyond[high] - beyond[low], "low": ends[0], "high": ends[1], "n": lesions}
    return {"highest": high, "lowest": low, "difference": difference, "pairs": pairs}
