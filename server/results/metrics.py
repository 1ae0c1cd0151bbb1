"""Metrics from counts. Every function accepts leading axes, so 1,000 bootstrap replicates are one call.

Noised counts may be negative. Sums and products of counts take them as they are; what accumulates along a curve takes
them as 0. `…_resolution` is the largest error that the binning of scores can make.

A class without lesions in a replicate has NaN metrics there and is left out of the macro mean, as in the reference
study. A precision or negative predictive value without any such prediction is 0, as in scikit-learn.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Counts = npt.NDArray[np.int64] | npt.NDArray[np.float64]
PER_CLASS = ("recall", "precision", "specificity", "npv", "f1", "accuracy")


def accuracy(confusion: Counts) -> Floats:
    """Accuracy of confusion matrices: (… k k) [true, predicted] → (…).

    >>> float(accuracy(np.array([[8, 2], [1, 9]])))
    0.85
    """
    right = np.trace(confusion, axis1=-2, axis2=-1)
    return ratio(right, confusion.sum((-2, -1)), empty=np.nan)


def per_class(confusion: Counts) -> Mapping[str, Floats]:
    """One-vs-rest metrics of each class: (… k k) → (… k) by name; NaN for a class without lesions.

    >>> per_class(np.array([[8, 2], [1, 9]]))["recall"].tolist()
    [0.8, 0.9]
    """
    actual = confusion.sum(-1)
    found = {name: ratio(*parts) for name, parts in class_shares(confusion).items()}
    found["f1"] = f1_of_overlap(found.pop("overlap"))
    return {name: np.where(actual > 0, found[name], np.nan) for name in PER_CLASS}


def class_shares(confusion: Counts) -> Mapping[str, tuple[Counts, Counts]]:
    """The one-vs-rest metrics that are shares: (… k k) → lesions of each class that count, and those among which.

    `overlap`: lesions of the class that are called so, among those of which either is true (Jaccard 1912); f1 follows
    from it.
    """
    total = confusion.sum((-2, -1))[..., None]
    actual, predicted = confusion.sum(-1), confusion.sum(-2)
    hit = np.diagonal(confusion, axis1=-2, axis2=-1)
    true_negative = total - actual - predicted + hit
    return {
        "recall": (hit, actual),
        "precision": (hit, predicted),
        "specificity": (true_negative, total - actual),
        "npv": (true_negative, total - predicted),
        "overlap": (hit, actual + predicted - hit),
        "accuracy": (hit + true_negative, total + np.zeros_like(actual)),
    }


def count_cells(classes: int) -> Mapping[str, tuple[int, int]]:
    """Of how many cells of the confusion matrix the two counts of `class_shares` are sums."""
    k = classes
    rest = ((k - 1) ** 2, k * (k - 1))
    return {
        "recall": (1, k),
        "precision": (1, k),
        "specificity": rest,
        "npv": rest,
        "overlap": (1, 2 * k - 1),
        "accuracy": (1 + (k - 1) ** 2, k * k),
    }


def f1_of_overlap(overlap: Floats | float) -> Any:
    """F1 from the share of `class_shares`: 2 · hit / (actual + predicted), which grows with it."""
    return 2 * overlap / (1 + overlap)


def auc(scores: Counts) -> Floats:
    """Area under the ROC curve (Hanley & McNeil 1982) of histograms: (… 2 bins) [negative, positive] → (…).

    Ties count one half. NaN without a positive or without a negative lesion.

    >>> float(auc(np.array([[3, 1, 0], [0, 1, 3]])))
    0.96875
    """
    negative, positive = scores[..., 0, :].astype(np.float64), scores[..., 1, :].astype(np.float64)
    below = np.cumsum(negative, axis=-1) - negative
    won = (positive * (below + negative / 2)).sum(-1)
    return ratio(won, positive.sum(-1) * negative.sum(-1), empty=np.nan)


def auc_resolution(scores: Counts) -> Floats:
    """Largest possible error of `auc` from binning: half of the share of pairs that are in the same bin.

    >>> float(auc_resolution(np.array([[3, 1, 0], [0, 1, 3]])))
    0.03125
    """
    negative, positive = scores[..., 0, :].astype(np.float64), scores[..., 1, :].astype(np.float64)
    tied = (positive * negative).sum(-1)
    return ratio(tied / 2, positive.sum(-1) * negative.sum(-1), empty=np.nan)


def average_precision(scores: Counts) -> Floats:
    """Average precision of histograms, (… 2 bins) → (…): Σ (increase of recall) · precision, one threshold per bin.

    As in scikit-learn. NaN without a positive lesion.

    >>> round(float(average_precision(np.array([[3, 1, 0], [0, 1, 3]]))), 6)
    0.95
    """
    false, true = _accumulate(scores)
    gained = np.diff(true, axis=-1) * ratio(true, false + true)[..., 1:]
    return ratio(gained.sum(-1), true[..., -1], empty=np.nan)


def average_precision_resolution(scores: Counts) -> Floats:
    """Largest possible error of `average_precision`: from the best and the worst order of lesions within their bins.

    >>> round(float(average_precision_resolution(np.array([[3, 1, 0], [0, 1, 3]]))), 6)
    0.05
    """
    false, true = (np.rint(part) for part in _accumulate(scores))
    harmonic = np.concatenate([[0.0], np.cumsum(1 / np.arange(1, int((false + true).max(initial=1)) + 1))])

    def total(before: Floats) -> Floats:
        """With the i-th positive lesion of a bin preceded by `before` negative ones: Σ (t + i) / (t + i + before)."""
        start, stop = (true[..., :-1] + before).astype(np.int64), (true[..., 1:] + before).astype(np.int64)
        return np.asarray((np.diff(true, axis=-1) - before * (harmonic[stop] - harmonic[start])).sum(-1))

    best, worst = (ratio(total(before), true[..., -1], np.nan) for before in (false[..., :-1], false[..., 1:]))
    found = average_precision(scores)
    return np.maximum(best - found, found - worst)


def sensitivity_at(scores: Counts, specificity: float) -> Floats:
    """The sensitivity at this specificity, on the ROC curve between the thresholds of the bins: (… 2 bins) → (…).

    NaN as `auc`.

    >>> round(float(sensitivity_at(np.array([[3, 1, 0], [0, 1, 3]]), 0.9)), 6)
    0.85
    """
    low, high, share = _bracket(scores, specificity)
    return low + (high - low) * share


def sensitivity_at_resolution(scores: Counts, specificity: float) -> Floats:
    """Largest possible error of `sensitivity_at`: the bin of the threshold may be ordered in any way.

    >>> round(float(sensitivity_at_resolution(np.array([[3, 1, 0], [0, 1, 3]]), 0.9)), 6)
    0.15
    """
    low, high, share = _bracket(scores, specificity)
    return (high - low) * np.maximum(share, 1 - share)


def _bracket(scores: Counts, specificity: float) -> tuple[Floats, Floats, Floats]:
    """Sensitivities of the thresholds below and above a specificity, and where between them it lies (0 to 1)."""
    false, true = _accumulate(scores)
    allowed = (1 - specificity) * false[..., -1:]
    below = (false <= allowed + 1e-9).sum(-1, keepdims=True) - 1
    above = np.minimum(below + 1, false.shape[-1] - 1)

    def take(values: Floats, place: Ints) -> Floats:
        return np.asarray(np.take_along_axis(values, place, -1)[..., 0])

    share = ratio(allowed[..., 0] - take(false, below), take(false, above) - take(false, below))
    defined = (false[..., -1] > 0) & (true[..., -1] > 0)
    low, high = (np.where(defined, ratio(take(true, place), true[..., -1]), np.nan) for place in (below, above))
    return low, high, np.asarray(np.clip(share, 0.0, 1.0))


def _accumulate(scores: Counts) -> tuple[Floats, Floats]:
    """False and true positives (… 1+bins) from the highest threshold, above all bins, to the lowest."""
    counts = np.maximum(scores[..., ::-1], 0).astype(np.float64)
    sums = np.concatenate([np.zeros((*counts.shape[:-1], 1)), np.cumsum(counts, axis=-1)], axis=-1)
    return sums[..., 0, :], sums[..., 1, :]


def macro(values: Floats) -> Floats:
    """Mean over the classes (last axis) with lesions: NaN is left out; NaN if no class has lesions.

    >>> float(macro(np.array([0.5, np.nan, 1.0])))
    0.75
    """
    defined = ~np.isnan(values)
    return ratio(np.where(defined, values, 0.0).sum(-1), defined.sum(-1), empty=np.nan)


def roc(scores: Counts) -> tuple[Floats, Floats]:
    """ROC curve of a histogram (2 bins): false and true positive rates at its corners, from (0, 0) to (1, 1).

    Empty if the curve is undefined.

    >>> [rates.tolist() for rates in roc(np.array([[3, 1, 0], [0, 1, 3]]))]
    [[0.0, 0.0, 0.25, 1.0], [0.0, 0.75, 1.0, 1.0]]
    """
    if not (np.maximum(scores, 0).sum(-1) > 0).all():
        return np.zeros(0), np.zeros(0)
    false, true = (np.asarray(part / part[-1]) for part in _accumulate(scores))
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
