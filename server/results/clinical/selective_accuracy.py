"""Accuracy against coverage: how right the model is where it answers only when sure (El-Yaniv & Wiener 2010).

Above a probability of 0.5 only one type can be named, so the lesions that are answered, and those answered rightly, are
sums over the types' histograms. Below 0.5 no sum says which type had the highest probability.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ceus_models.metrics.score_bins import BINS, EDGES
from server.results.intervals import estimate_share
from server.results.metrics import Floats
from server.results.replicates import Resampling

_FIRST = np.flatnonzero(EDGES >= 0.5 - 1e-9)[:-1]


def compute_selective_accuracy(scores: Floats, sampling: Resampling) -> dict[str, Any]:
    """By the least probability of an answer: `answered` of all lesions, and their `accuracy`.

    Args:
        scores: (6 2 32).
        sampling: of the lesions.

    Returns:
        {probability: {answered, accuracy}}, up to the last at which any lesion is answered.
    """
    types, lesions = len(scores), float(scores[:, 1].sum())
    found = {}
    for first in _FIRST:
        above = scores[:, :, first:].sum((0, 2))  # negative, positive
        if lesions > 0 and above.sum() > 0:
            inside = types * (BINS - int(first))
            found[f"{EDGES[first]:.4g}"] = {
                "answered": estimate_share(float(above.sum()), lesions, sampling, (2 * inside, 2 * types * BINS)),
                "accuracy": estimate_share(float(above[1]), float(above.sum()), sampling, (inside, 2 * inside)),
            }
    return found
