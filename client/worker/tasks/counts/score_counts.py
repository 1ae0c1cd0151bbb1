"""From probabilities to counts: nothing of a single lesion is left in what these functions return."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ceus_models.metrics.score_bins import BINS, compute_bins

Ints = npt.NDArray[np.int64]


def count_scores(probability: npt.NDArray[np.float64], target: Ints) -> dict[str, Tensor]:
    """Counts of n lesions for one net.

    probability (n k), k = 1 for a binary net · target (n).
    Returns confusion i64 (c c) [true, predicted] and scores i64 (k 2 32) [output, negative or positive, bin].
    """
    k = probability.shape[1]
    positive = (target[:, None] == (np.arange(k) if k > 1 else np.ones(1))).astype(np.int64)  # (n k)
    cells = (np.arange(k) * 2 + positive) * BINS + compute_bins(probability)
    scores = np.bincount(cells.reshape(-1), minlength=k * 2 * BINS).reshape(k, 2, BINS)
    return {"confusion": count_confusion(probability, target)[0], "scores": torch.from_numpy(scores)}


def count_confusion(
    probability: npt.NDArray[np.float64], target: Ints, draws: npt.NDArray[np.int32] | None = None
) -> Tensor:
    """i64 (r c c) [true, predicted], each lesion counting as often as its row of `draws` (n r) says; once without."""
    n, k = probability.shape
    classes = max(2, k)
    predicted = (probability[:, 0] >= 0.5).astype(np.int64) if k == 1 else probability.argmax(axis=1)
    weights = torch.ones(n, 1, dtype=torch.int64) if draws is None else torch.from_numpy(draws.astype(np.int64))
    total = torch.zeros(classes * classes, weights.shape[1], dtype=torch.int64)
    total.index_add_(0, torch.from_numpy(target * classes + predicted), weights)
    return total.T.contiguous().reshape(-1, classes, classes)
