"""Decision curves: the net benefit of acting on a model (Vickers & Elkin 2006, Med Decis Making 26:565).

At the threshold t the net benefit is (true positives - false positives · t / (1 - t)) / lesions: a false alarm weighs
as much as t says. HCC has a histogram of its own probability, so its curve is that of acting where the probability
exceeds t, exact at the edges of the bins. No sum holds the probability of malignancy, which three types share: that
curve is of acting wherever the model names a malignant type.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ceus_models.metrics.score_bins import EDGES
from ceus_models.study.taxonomy import LESION_TYPES
from server.results.clinical.dichotomy import DICHOTOMIES, Dichotomy
from server.results.intervals import INTERVAL
from server.results.metrics import Floats

_PLACES = np.flatnonzero((EDGES > 0.04) & (EDGES < 0.96))
THRESHOLDS: Floats = EDGES[_PLACES]
_ODDS = THRESHOLDS / (1 - THRESHOLDS)


def compute_decision_curves(confusion: Floats, scores: Floats) -> dict[str, Any]:
    """Net benefit of the model and of treating all, by threshold; {} for a question without lesions of both kinds.

    Args:
        confusion: (1+R 6 6) and its replicates.
        scores: (1+R 6 2 32) likewise.

    Returns:
        `thresholds`, `HCC` and `malignant`: {lesions, positives, net_benefit, low, high, treat_all}, the last four
        lists by threshold; low and high are empty without replicates.
    """
    found: dict[str, Any] = {}
    for name, question in DICHOTOMIES.items():
        if name in LESION_TYPES:
            true, false, positives, negatives = _count_above(scores[:, LESION_TYPES.index(name)])
        else:
            true, false, positives, negatives = _count_called(question, confusion)
        if positives[0] <= 0 or negatives[0] <= 0:
            continue
        lesions = np.maximum(positives + negatives, 1.0)[:, None]
        benefit = (true - false * _ODDS) / lesions  # (1+R thresholds)
        low, high = np.percentile(benefit[1:], INTERVAL, axis=0) if len(benefit) > 1 else ([], [])
        share = float(positives[0] / lesions[0, 0])
        found[name] = {
            "lesions": round(float(lesions[0, 0])),
            "positives": round(float(positives[0])),
            "net_benefit": benefit[0].tolist(),
            "low": list(map(float, low)),
            "high": list(map(float, high)),
            "treat_all": (share - (1 - share) * _ODDS).tolist(),
        }
    return {"thresholds": THRESHOLDS.tolist(), **found} if found else {}


def _count_above(histogram: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """True and false positives (1+R thresholds) of acting above each threshold, positives and negatives (1+R).

    histogram: (1+R 2 32).
    """
    above = np.cumsum(histogram[..., ::-1], axis=-1)[..., ::-1]
    return above[:, 1, _PLACES], above[:, 0, _PLACES], above[:, 1, 0], above[:, 0, 0]


def _count_called(question: Dichotomy, confusion: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """The same, of acting on what is called positive whatever the threshold; confusion (1+R 6 6)."""
    hit, positives, alarms, negatives = question.count(confusion)
    ones = np.ones(len(THRESHOLDS))
    return hit[:, None] * ones, alarms[:, None] * ones, positives, negatives
