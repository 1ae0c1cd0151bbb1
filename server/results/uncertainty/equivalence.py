"""Whether two accuracies are equivalent: two one-sided tests at 5 % (Schuirmann 1987, J Pharmacokinet Biopharm 15:657).

They reject at 5 % each where the 90 % interval of the difference lies within the margin. That a difference is not
significant shows no equivalence. The first is non-inferior where the 95 % interval lies above -margin.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ceus_models.study.taxonomy import TEST_COHORTS
from server.results.uncertainty.proportions import LEVEL, Counted, Interval, subtract_independent, subtract_paired

MARGIN = 0.05
"""Accuracies that differ by less are called equivalent. It is fixed here, before any result: 5 lesions of 100."""
EQUIVALENCE_LEVEL = 0.90
ALL_TESTS = "all_tests"


def judge_paired(only: Counted, n: float, noise_variance: float = 0.0) -> dict[str, Any]:
    """Equivalence on the same lesions; counts are effective ones, see `subtract_paired`."""
    intervals = [subtract_paired(only, n, level, noise_variance) for level in (EQUIVALENCE_LEVEL, LEVEL)]
    return _judge(*intervals)


def compare_trainings(comparison: Mapping[str, Any], effects: Mapping[str, float]) -> dict[str, Any]:
    """Federated minus pooled by test cohort, and over all of them: difference with its interval, and equivalence.

    The two are taken as if they had been tested on different lesions, because no sum pairs them. They are alike, so the
    interval is wider than it must be, and equivalence harder to show.

    Args:
        comparison: `federated` and `pooled`: cohort → {accuracy: {value, n}}.
        effects: design effect of a cohort or pool; 1 where there is none.
    """
    sides = [_count(comparison.get(name) or {}) for name in ("federated", "pooled")]
    cohorts = [cohort for cohort in TEST_COHORTS if all(cohort in side for side in sides)]
    found = {cohort: _compare(sides[0][cohort], sides[1][cohort], effects.get(cohort, 1.0)) for cohort in cohorts}
    if len(cohorts) > 1:
        whole = [(sum(side[c][0] for c in cohorts), sum(side[c][1] for c in cohorts)) for side in sides]
        found[ALL_TESTS] = _compare(whole[0], whole[1], effects.get(ALL_TESTS, 1.0))
    return found


def _count(scores: Mapping[str, Any]) -> dict[str, Counted]:
    """Cohort → (right, lesions)."""
    found = {}
    for cohort, entry in scores.items():
        accuracy = entry.get("accuracy") if isinstance(entry.get("accuracy"), Mapping) else entry
        value, n = accuracy.get("value"), accuracy.get("n")
        if value is not None and n:
            found[cohort] = (float(value) * n, float(n))
    return found


def _compare(first: Counted, second: Counted, effect: float) -> dict[str, Any]:
    (a, n), (b, m) = ((x / effect, y / effect) for x, y in (first, second))
    narrow, wide = (subtract_independent((a, n), (b, m), level) for level in (EQUIVALENCE_LEVEL, LEVEL))
    difference = {"value": a / n - b / m, "low": wide[0], "high": wide[1], "n": round(first[1])}
    return {"difference": difference, "equivalence": _judge(narrow, wide)}


def _judge(narrow: Interval, wide: Interval) -> dict[str, Any]:
    """narrow, wide: the 90 % and the 95 % interval of a difference."""
    return {
        "margin": MARGIN,
        "low": narrow[0],
        "high": narrow[1],
        "equivalent": narrow[0] > -MARGIN and narrow[1] < MARGIN,
        "different": wide[0] > 0 or wide[1] < 0,
        "non_inferior": wide[0] > -MARGIN,
    }
