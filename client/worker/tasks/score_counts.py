"""From probabilities to counts: nothing of a single lesion is left in what these functions return."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ceus_models.metrics.score_bins import (
    CALIBRATION_BINS,
    COARSE_BINS,
    FINE_BINS,
    compute_bins,
    compute_calibration_bins,
    round_to_units,
)

Ints = npt.NDArray[np.int64]


def count_scores(
    probability: npt.NDArray[np.float64],
    target: Ints,
    replicates: npt.NDArray[np.int32],
    class_weight: npt.NDArray[np.float64],
) -> dict[str, Tensor]:
    """Sums of n lesions for one net.

    probability (n k), k = 1 for a binary net · target (n) · replicates (n 1+R): how often each lesion counts in the
    estimate (first) and in each bootstrap replicate · class_weight (classes).
    Returns confusion i32 (1+R c c) [true, predicted], scores i32 (1+R k 2 64) and fine i32 (k 2 2048)
    [class, negative or positive, bin], loss f64 (2) [Σ w·loss, Σ w], calibration i64 (rows 10 3)
    [lesions, Σ p, Σ right] (rows: the positive class of a binary net; else each class against the rest, and the
    probability of the answer), brier i64 (1+R): Σ of Brier's score, (p - y)², for k > 1 added over the classes. Σ p and
    Brier's score are in multiples of `bins.UNIT`.
    """
    n, k = probability.shape
    classes = max(2, k)
    predicted = (probability[:, 0] >= 0.5).astype(np.int64) if k == 1 else probability.argmax(axis=1)
    positive = (target[:, None] == (np.arange(k) if k > 1 else np.ones(1))).astype(np.int64)  # (n k)
    cell = np.arange(k) * 2 + positive
    coarse = cell * COARSE_BINS + compute_bins(probability, COARSE_BINS)
    fine = cell * FINE_BINS + compute_bins(probability, FINE_BINS)
    once = np.ones((n, 1), np.int32)
    missed = round_to_units(np.square(probability - positive).sum(axis=1))
    return {
        "confusion": _count(target * classes + predicted, replicates, (classes, classes)),
        "scores": _count(coarse, replicates, (k, 2, COARSE_BINS)),
        "fine": _count(fine, once, (k, 2, FINE_BINS))[0].contiguous(),
        "loss": _loss(probability, target, class_weight),
        "calibration": _calibration(probability, positive, predicted == target),
        "brier": torch.from_numpy(missed @ replicates.astype(np.int64)),
    }


def _count(cells: Ints, replicates: npt.NDArray[np.int32], shape: tuple[int, ...]) -> Tensor:
    """(1+R *shape): each lesion's weights added at its cells (n) or (n k)."""
    per_lesion = cells.size // len(cells)
    weights = torch.from_numpy(np.ascontiguousarray(replicates)).repeat_interleave(per_lesion, dim=0)
    total = torch.zeros(int(np.prod(shape)), replicates.shape[1], dtype=torch.int32)
    total.index_add_(0, torch.from_numpy(cells.reshape(-1)), weights)
    return total.T.contiguous().reshape(-1, *shape)


def _calibration(probability: npt.NDArray[np.float64], positive: Ints, right: npt.NDArray[np.bool_]) -> Tensor:
    """(1 10 3) for k = 1, else (k+1 10 3)."""
    n, k = probability.shape
    sure = [] if k == 1 else [(probability.max(axis=1), right)]
    pairs = [*((probability[:, c], positive[:, c]) for c in range(k)), *sure]
    out = torch.zeros(len(pairs), CALIBRATION_BINS, 3, dtype=torch.int64)
    for row, (p, y) in enumerate(pairs):
        terms = torch.from_numpy(np.stack([np.ones(n, np.int64), round_to_units(p), y.astype(np.int64)], axis=1))
        out[row].index_add_(0, torch.from_numpy(compute_calibration_bins(p)), terms)
    return out


def _loss(probability: npt.NDArray[np.float64], target: Ints, class_weight: npt.NDArray[np.float64]) -> Tensor:
    both = np.concatenate([1 - probability, probability], axis=1) if probability.shape[1] == 1 else probability
    right = np.clip(both[np.arange(len(target)), target], 1e-7, 1.0)
    weight = class_weight[target]
    return torch.tensor([float((weight * -np.log(right)).sum()), float(weight.sum())], dtype=torch.float64)
