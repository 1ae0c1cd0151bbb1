"""Whether probabilities mean what they say, from sums over ten even bins: reliability curves, ECE and Brier's score.

Exact for these bins: a bin's mean probability and share come from its own sums (Naeini et al., AAAI 2015, for the ECE;
Brier, Monthly Weather Review 1950, for the score).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from server.results.intervals import interval
from server.results.metrics import Floats, Ints


def calibrated(
    calibration: Floats | None, brier: Floats | None, lesions: Ints, classes: Sequence[str] = ()
) -> dict[str, Any]:
    """`calibration` and `brier` of a net. calibration (rows 10 3) · brier, lesions (1+R).

    A binary net has one curve; a classifier one of the probability of its `answer`, and one of each class against the
    rest. Empty without the sums.
    """
    if calibration is None or brier is None or not lesions[0]:
        return {}
    mean = np.divide(brier, lesions, out=np.full(brier.shape, np.nan), where=lesions > 0)
    found: dict[str, Any] = {"brier": interval(mean, int(lesions[0]), most=2.0)}
    if not classes:
        return found | {"calibration": reliability(calibration[0])}
    by_class = {name: reliability(bins) for name, bins in zip(classes, calibration[:-1], strict=True)}
    return found | {"calibration": {"answer": reliability(calibration[-1]), "classes": by_class}}


def reliability(bins: Floats) -> dict[str, Any]:
    """The curve over the bins with lesions, and the expected calibration error: bins (10 3) [lesions, Σ p, Σ right]."""
    n, p, right = bins[bins[:, 0] > 0].T
    return {
        "predicted": (p / n).tolist(),
        "observed": (right / n).tolist(),
        "n": n.astype(int).tolist(),
        "ece": float(np.abs(right - p).sum() / n.sum()),
    }
