"""Metrics from counts. Every function accepts leading axes, so 1,000 bootstrap replicates are one call.

A class without lesions in a replicate has NaN metrics there and is left out of the macro mean, as in the reference
study. A precision or negative predictive value without any such prediction is 0, as in scikit-learn.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


def accuracy(confusion: Ints) -> Floats:
    """Accuracy of confusion matrices: (… k k) [true, predicted] → (…).

    >>> float(accuracy(np.array([[8, 2], [1, 9]])))
    0.85
    """
    right = np.trace(confusion, axis1=-2, axis2=-1)
    return ratio(right, confusion.sum((-2, -1)), empty=np.nan)


def per_class(confusion: Ints) -> Mapping[str, Floats]:
    """One-vs-rest metrics of each class: (… k k) → (… k) by name; NaN for a class without lesions.

    >>> per_class(np.array([[8, 2], [1, 9]]))["recall"].tolist()
    [0.8, 0.9]
    """
    total = confusion.sum((-2, -1))[..., None]
    actual, predicted = confusion.sum(-1), confusion.sum(-2)
    hit = np.diagonal(confusion, axis1=-2, axis2=-1)
    true_negative = total - actual - predicted + hit
    metrics = {
        "recall": ratio(hit, actual),
        "precision": ratio(hit, predicted),
        "specificity": ratio(true_negative, total - actual),
        "npv": ratio(true_negative, total - predicted),
        "f1": ratio(2 * hit, actual + predicted),
        "accuracy": ratio(hit + true_negative, total),
    }
    return {name: np.where(actual > 0, value, np.nan) for name, value in metrics.items()}


def auc(scores: Ints) -> Floats:
    """Area under the ROC curve (Hanley & McNeil 1982) of histograms: (… 2 bins) [negative, positive] → (…).

    Ties count one half. NaN without a positive or without a negative lesion.

    >>> float(auc(np.array([[3, 1, 0], [0, 1, 3]])))
    0.96875
    """
    negative, positive = scores[..., 0, :].astype(np.float64), scores[..., 1, :].astype(np.float64)
    below = np.cumsum(negative, axis=-1) - negative
    won = (positive * (below + negative / 2)).sum(-1)
    return ratio(won, positive.sum(-1) * negative.sum(-1), empty=np.nan)


def auc_resolution(scores: Ints) -> Floats:
    """Largest possible error of `auc` from binning: half of the share of pairs that are in the same bin.

    >>> float(auc_resolution(np.array([[3, 1, 0], [0, 1, 3]])))
    0.03125
    """
    negative, positive = scores[..., 0, :].astype(np.float64), scores[..., 1, :].astype(np.float64)
    tied = (positive * negative).sum(-1)
    return ratio(tied / 2, positive.sum(-1) * negative.sum(-1), empty=np.nan)


def average_precision(scores: Ints) -> Floats:
    """Average precision of histograms, (… 2 bins) → (…): Σ (increase of recall) · precision, one threshold per bin.

    As in scikit-learn. NaN without a positive lesion.

    >>> round(float(average_precision(np.array([[3, 1, 0], [0, 1, 3]]))), 6)
    0.95
    """
    false, true = (np.cumsum(scores[..., side, ::-1], axis=-1) for side in (0, 1))
    gained = scores[..., 1, ::-1] * ratio(true, false + true)
    return ratio(gained.sum(-1), true[..., -1], empty=np.nan)


def sensitivity_at(scores: Ints, specificity: float) -> Floats:
    """The highest sensitivity of a threshold with at least this specificity, (… 2 bins) → (…); NaN as `auc`.

    >>> float(sensitivity_at(np.array([[3, 1, 0], [0, 1, 3]]), 0.9))
    0.75
    """
    false, true = (np.cumsum(scores[..., side, ::-1], axis=-1) for side in (0, 1))
    allowed = false <= (1 - specificity) * false[..., -1:] + 1e-9
    best = np.where(allowed, true, 0).max(-1)
    defined = (false[..., -1] > 0) & (true[..., -1] > 0)
    return np.where(defined, ratio(best, true[..., -1]), np.nan)


def macro(values: Floats) -> Floats:
    """Mean over the classes (last axis) with lesions: NaN is left out; NaN if no class has lesions.

    >>> float(macro(np.array([0.5, np.nan, 1.0])))
    0.75
    """
    defined = ~np.isnan(values)
    return ratio(np.where(defined, values, 0.0).sum(-1), defined.sum(-1), empty=np.nan)


def roc(scores: Ints) -> tuple[Floats, Floats]:
    """ROC curve of a histogram (2 bins): false and true positive rates at its corners, from (0, 0) to (1, 1).

    Empty if the curve is undefined.

    >>> [rates.tolist() for rates in roc(np.array([[3, 1, 0], [0, 1, 3]]))]
    [[0.0, 0.0, 0.25, 1.0], [0.0, 0.75, 1.0, 1.0]]
    """
    if not (scores.sum(-1) > 0).all():
        return np.zeros(0), np.zeros(0)
    rates = np.cumsum(scores[:, ::-1], axis=-1) / scores.sum(-1, keepdims=True)
    false, true = np.concatenate([np.zeros((2, 1)), rates], axis=1)
    step = np.diff(false) ** 2 + np.diff(true) ** 2 > 0
    kept = np.concatenate([[True], step])
    false, true = false[kept], true[kept]
    bend = np.diff(false)[:-1] * np.diff(true)[1:] - np.diff(false)[1:] * np.diff(true)[:-1]
    corner = np.concatenate([[True], np.abs(bend) > 1e-12, [True]])
    return false[corner], true[corner]


def macro_roc(curves: list[tuple[Floats, Floats]], points: int = 101) -> tuple[Floats, Floats]:
    """Mean of the classes' ROC curves at equally spaced false positive rates; empty curves are left out."""
    at = np.linspace(0.0, 1.0, points)
    heights = [np.interp(at, false, true) for false, true in curves if len(false)]
    return (at, np.mean(heights, axis=0)) if heights else (np.zeros(0), np.zeros(0))


def ratio(part: npt.ArrayLike, whole: npt.ArrayLike, empty: float = 0.0) -> Floats:
    """part / whole, or `empty` where whole is 0.

    >>> ratio([1, 0], [2, 0]).tolist()
    [0.5, 0.0]
    """
    part, whole = np.asarray(part, dtype=np.float64), np.asarray(whole, dtype=np.float64)
    out = np.full(np.broadcast_shapes(part.shape, whole.shape), empty)
    return np.asarray(np.divide(part, whole, out=out, where=whole > 0), dtype=np.float64)
