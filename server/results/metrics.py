"""Metrics from counts. Every function takes leading axes, so 1,000 bootstrap replicates are one call.

Where a class has no lesion in a replicate, its own metrics are NaN there and it is left out of the macro mean, as the
study leaves out classes that a cohort does not hold. A precision or negative predictive value without a single such
prediction is 0, as in scikit-learn.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


def accuracy(confusion: Ints) -> Floats:
    """Share of lesions on the diagonal: (… k k) [true, predicted] → (…)."""
    right = np.trace(confusion, axis1=-2, axis2=-1)
    return ratio(right, confusion.sum((-2, -1)), empty=np.nan)


def per_class(confusion: Ints) -> Mapping[str, Floats]:
    """One-vs-rest metrics of each class: (… k k) → (… k) by name; NaN for a class without lesions."""
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
    """Area under the ROC curve from histograms: (… 2 bins) [negative, positive] → (…), ties counted half.

    NaN without a positive or without a negative lesion.
    """
    negative, positive = scores[..., 0, :].astype(np.float64), scores[..., 1, :].astype(np.float64)
    below = np.cumsum(negative, axis=-1) - negative
    won = (positive * (below + negative / 2)).sum(-1)
    return ratio(won, positive.sum(-1) * negative.sum(-1), empty=np.nan)


def auc_resolution(scores: Ints) -> Floats:
    """How far `auc` can be from the area over unbinned scores: half of the share of pairs that one bin ties."""
    negative, positive = scores[..., 0, :].astype(np.float64), scores[..., 1, :].astype(np.float64)
    tied = (positive * negative).sum(-1)
    return ratio(tied / 2, positive.sum(-1) * negative.sum(-1), empty=np.nan)


def average_precision(scores: Ints) -> Floats:
    """Area under the precision-recall curve, (… 2 bins) → (…): Σ (rise of recall) · precision, a threshold a bin.

    NaN without a positive lesion.
    """
    false, true = (np.cumsum(scores[..., side, ::-1], axis=-1) for side in (0, 1))
    gained = scores[..., 1, ::-1] * ratio(true, false + true)
    return ratio(gained.sum(-1), true[..., -1], empty=np.nan)


def sensitivity_at(scores: Ints, specificity: float) -> Floats:
    """The highest sensitivity of a threshold with at least this specificity, (… 2 bins) → (…); NaN as `auc`."""
    false, true = (np.cumsum(scores[..., side, ::-1], axis=-1) for side in (0, 1))
    allowed = false <= (1 - specificity) * false[..., -1:] + 1e-9
    best = np.where(allowed, true, 0).max(-1)
    defined = (false[..., -1] > 0) & (true[..., -1] > 0)
    return np.where(defined, ratio(best, true[..., -1]), np.nan)


def macro(values: Floats) -> Floats:
    """Mean over the classes (last axis) that have lesions: NaN ones are left out; NaN if none has."""
    defined = ~np.isnan(values)
    return ratio(np.where(defined, values, 0.0).sum(-1), defined.sum(-1), empty=np.nan)


def roc(scores: Ints) -> tuple[Floats, Floats]:
    """False and true positive rates from (2 bins), thresholds falling, from (0, 0) to (1, 1); corners only.

    Empty where the curve is not defined.
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
    """Mean of the classes' curves at even false positive rates; empty curves are left out."""
    at = np.linspace(0.0, 1.0, points)
    heights = [np.interp(at, false, true) for false, true in curves if len(false)]
    return (at, np.mean(heights, axis=0)) if heights else (np.zeros(0), np.zeros(0))


def ratio(part: npt.ArrayLike, whole: npt.ArrayLike, empty: float = 0.0) -> Floats:
    """part / whole, or `empty` where the whole is 0."""
    part, whole = np.asarray(part, dtype=np.float64), np.asarray(whole, dtype=np.float64)
    out = np.full(np.broadcast_shapes(part.shape, whole.shape), empty)
    return np.asarray(np.divide(part, whole, out=out, where=whole > 0), dtype=np.float64)
