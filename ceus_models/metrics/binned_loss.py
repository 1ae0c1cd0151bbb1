"""Log loss and Brier's score of a histogram of scores: every lesion counts with the centre of its bin."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ceus_models.metrics.score_bins import CENTRES, EDGES, Floats


def sum_log_loss(scores: Floats, class_weight: Sequence[float]) -> tuple[float, float]:
    """Σ weight · log loss and Σ weight of the lesions of a histogram.

    Args:
        scores: (k 2 32) [output, negative or positive, bin]; negative cells, which noise can make, count as empty.
        class_weight: of the classes: (negative, positive) of a binary net, else one an output.

    >>> histogram = np.zeros((1, 2, 32)); histogram[0, 1, 15] = 4
    >>> sum_log_loss(histogram, (1.0, 2.0))[1]
    8.0
    """
    counts = np.maximum(scores, 0.0)
    right = -np.log(CENTRES)
    if len(counts) == 1:
        by_class = np.array([counts[0, 0] @ -np.log1p(-CENTRES), counts[0, 1] @ right])
        lesions = counts[0].sum(-1)
    else:
        by_class, lesions = counts[:, 1] @ right, counts[:, 1].sum(-1)
    weight = np.asarray(class_weight, dtype=np.float64)
    return float(weight @ by_class), float(weight @ lesions)


def sum_brier(scores: Floats) -> Floats:
    """Σ of Brier's score (Brier 1950), (p - y)² added over the outputs: (… k 2 32) → (…)."""
    squares = np.stack([CENTRES**2, (1 - CENTRES) ** 2])
    return np.asarray((scores * squares).sum((-3, -2, -1)), dtype=np.float64)


def bound_brier_error(scores: Floats) -> float:
    """Σ of the largest differences between a lesion's share of Brier's score and that of its bin: (k 2 32)."""
    ends = np.stack([EDGES[:-1], EDGES[1:]])  # (2 32)
    negative = np.abs(ends**2 - CENTRES**2).max(0)
    positive = np.abs((1 - ends) ** 2 - (1 - CENTRES) ** 2).max(0)
    return float((np.maximum(scores, 0.0) * np.stack([negative, positive])).sum())
