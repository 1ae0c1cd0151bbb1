"""Bins of a histogram of scores, from which the ROC curve, AUC and calibration are computed."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

COARSE_BINS = 64
"""For every bootstrap replicate."""
FINE_BINS = 2048
"""For the estimate itself."""
CALIBRATION_BINS = 10
"""Equal width in the probability, as in a reliability curve."""
LOGIT_BOUND = 8.0
"""Bins have equal width in the logit, clipped to ± this: most probabilities are near 0 and 1, where bins of equal width
in the probability would tie them."""

SUM_UNIT = 2.0**-40
"""Probabilities and squared errors are added as integer multiples of this, so that sums are exact; 100,000 lesions with
weights of 20 stay below 2^63.
"""


def compute_bins(probability: npt.NDArray[np.float64], bins: int) -> npt.NDArray[np.int64]:
    """Index 0 … bins-1 of each probability (any shape); monotone in the probability.

    >>> compute_bins(np.array([0.1, 0.5, 0.9]), 64).tolist()
    [23, 32, 40]
    """
    p = np.clip(np.asarray(probability, dtype=np.float64), 1e-12, 1 - 1e-12)
    logit = np.clip(np.log(p) - np.log1p(-p), -LOGIT_BOUND, LOGIT_BOUND)
    place = ((logit + LOGIT_BOUND) / (2 * LOGIT_BOUND) * bins).astype(np.int64)
    return np.asarray(np.minimum(place, bins - 1), dtype=np.int64)


def compute_calibration_bins(probability: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """Index 0 … 9 of each probability; a probability on an edge belongs to the lower bin, as in scikit-learn."""
    edges = np.linspace(0.0, 1.0, CALIBRATION_BINS + 1)
    return np.asarray(np.searchsorted(edges[1:-1], probability), dtype=np.int64)


def round_to_units(values: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """Round values from 0 to 2 (any shape) to integer multiples of UNIT."""
    return np.asarray(np.rint(values / SUM_UNIT), dtype=np.int64)


def compute_edge_probabilities(edge: npt.NDArray[np.float64], bins: int) -> npt.NDArray[np.float64]:
    """Probabilities at bin edges (0 … bins), the thresholds of a ROC curve."""
    logit = edge / bins * 2 * LOGIT_BOUND - LOGIT_BOUND
    return np.asarray(1 / (1 + np.exp(-logit)))
