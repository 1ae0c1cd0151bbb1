"""Where a probability falls in a histogram of scores, from which AUC, ROC and calibration are finished."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

COARSE_BINS = 64
"""For every bootstrap replicate."""
FINE_BINS = 2048
"""For the estimate itself."""
CALIBRATION_BINS = 10
"""Even in the probability, as reliability curves are drawn."""
LOGIT_BOUND = 8.0
"""Scores are binned evenly in the logit, clipped here: probabilities crowd near 0 and 1, where even bins in the
probability would tie most lesions with each other."""

UNIT = 2.0**-40
"""Sums of probabilities and of their squared errors are whole multiples of this. What is added is rounded by half of it
at most, and adding whole numbers is exact; 100,000 lesions at weights of 20 stay below 2^63.
"""


def bin_of(probability: npt.NDArray[np.float64], bins: int) -> npt.NDArray[np.int64]:
    """Index 0 … bins-1 of each probability (any shape); monotone in the probability."""
    p = np.clip(np.asarray(probability, dtype=np.float64), 1e-12, 1 - 1e-12)
    logit = np.clip(np.log(p) - np.log1p(-p), -LOGIT_BOUND, LOGIT_BOUND)
    place = ((logit + LOGIT_BOUND) / (2 * LOGIT_BOUND) * bins).astype(np.int64)
    return np.asarray(np.minimum(place, bins - 1), dtype=np.int64)


def calibration_bin_of(probability: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """Index 0 … 9 of each probability; a probability on an edge belongs below it, as in scikit-learn."""
    edges = np.linspace(0.0, 1.0, CALIBRATION_BINS + 1)
    return np.asarray(np.searchsorted(edges[1:-1], probability), dtype=np.int64)


def in_units(values: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """Values from 0 to 2 (any shape) as multiples of UNIT."""
    return np.asarray(np.rint(values / UNIT), dtype=np.int64)


def probability_of(edge: npt.NDArray[np.float64], bins: int) -> npt.NDArray[np.float64]:
    """The probability at a bin edge (0 … bins), for the thresholds of a ROC curve."""
    logit = edge / bins * 2 * LOGIT_BOUND - LOGIT_BOUND
    return np.asarray(1 / (1 + np.exp(-logit)))
