"""Sets of types that hold the true one as often as stated: split conformal prediction (Vovk et al. 2005).

One cohort chooses the threshold, the others test it. A lesion's set is all types whose probability lies above it; how
many sets hold the true type, and how large they are on average, are sums over the histograms. How many sets hold
exactly one type is not: no sum holds the probabilities of a lesion together.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ceus_models.metrics.score_bins import BINS, EDGES
from server.results.intervals import estimate_share
from server.results.metrics import Floats
from server.results.replicates import Resampling

TARGET = 0.9


def find_threshold_bin(scores: Floats, target: float = TARGET) -> int | None:
    """The first bin that counts, chosen on a cohort (6 2 32); None where its lesions are too few for the target.

    The set must hold the true type of ⌈(n + 1) · target⌉ of the n lesions.
    """
    true = np.maximum(scores[:, 1], 0.0).sum(0)  # (32) lesions by the probability of their true type
    lesions = float(true.sum())
    needed = math.ceil((lesions + 1) * target - 1e-9)
    if lesions <= 0 or needed > lesions:
        return None
    held = np.cumsum(true[::-1])[::-1]
    return int(np.flatnonzero(held >= needed).max())


def measure_sets(scores: Floats, first_bin: int, classes: Sequence[str], sampling: Resampling) -> dict[str, Any]:
    """Coverage and mean size of the sets on a cohort (6 2 32), and coverage by type.

    Returns:
        `target`, `threshold`, `coverage` and `by_type` as {value, low, high, n}, `mean_size` in types a lesion.
    """
    held, lesions = scores[:, 1, first_bin:].sum(-1), scores[:, 1].sum(-1)  # (6) each
    bins = BINS - first_bin
    each = [estimate_share(h, n, sampling, (bins, BINS)) for h, n in zip(held, lesions, strict=True)]
    k, whole = len(classes), float(lesions.sum())
    return {
        "target": TARGET,
        "threshold": float(EDGES[first_bin]),
        "coverage": estimate_share(float(held.sum()), whole, sampling, (k * bins, k * BINS)),
        "mean_size": float(np.clip(scores[:, :, first_bin:].sum() / whole, 0, k)) if whole > 0 else None,
        "by_type": {name: one for name, one in zip(classes, each, strict=True) if one["value"] is not None},
    }
