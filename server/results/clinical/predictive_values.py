"""Predictive values at stated prevalences, from sensitivity and specificity by Bayes' theorem.

1 / PPV - 1 is the ratio of (1 - specificity) to sensitivity times the odds against, so the interval is that of a ratio
of two independent proportions (`uncertainty.proportions.divide`); the NPV likewise.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from server.results.clinical.dichotomy import DICHOTOMIES
from server.results.intervals import estimate_share
from server.results.metrics import Floats
from server.results.replicates import Resampling
from server.results.uncertainty.proportions import divide

PREVALENCES: Mapping[str, float] = {"0.10": 0.10, "0.50": 0.50, "0.90": 0.90}
"""Shares of malignant lesions at a check-up, in an outpatient and in an inpatient clinic, in the reference study."""


def compute_predictive_values(confusion: Floats, sampling: Resampling) -> dict[str, Any]:
    """By question: `sensitivity`, `specificity`, and by prevalence `ppv` and `npv`, each as {value, low, high, n}.

    Args:
        confusion: (6 6) [true, said].
        sampling: of the lesions.
    """
    found: dict[str, Any] = {}
    for name, question in DICHOTOMIES.items():
        hit, positives, alarms, negatives = map(float, question.count(confusion))
        if positives <= 0 or negatives <= 0:
            continue
        cells = question.count_cells()
        sensitivity = estimate_share(hit, positives, sampling, cells[0])
        alarm = estimate_share(alarms, negatives, sampling, cells[1])
        found[name] = {"sensitivity": sensitivity, "specificity": _complement(alarm)}
        for key, prevalence in PREVALENCES.items():
            against = (1 - prevalence) / prevalence
            found[name][key] = {
                "ppv": _predict(alarm, sensitivity, against),
                "npv": _predict(_complement(sensitivity), _complement(alarm), 1 / against),
            }
    return found


def _complement(share: Mapping[str, Any]) -> dict[str, Any]:
    return {"value": 1 - share["value"], "low": 1 - share["high"], "high": 1 - share["low"], "n": share["n"]}


def _predict(wrong: Mapping[str, Any], right: Mapping[str, Any], odds: float) -> dict[str, Any]:
    """1 / (1 + odds · wrong / right) with its interval; without a value where nothing is predicted so."""
    lesions = wrong["n"] + right["n"]
    if right["value"] <= 0 and wrong["value"] <= 0:
        return {"value": None, "low": None, "high": None, "n": lesions}
    low, high = divide(*((one["value"], (one["low"], one["high"])) for one in (wrong, right)))
    value = right["value"] / (right["value"] + odds * wrong["value"])
    return {"value": value, "low": 1 / (1 + odds * high), "high": 1 / (1 + odds * low), "n": lesions}
