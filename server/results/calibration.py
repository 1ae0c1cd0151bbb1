"""Calibration of probabilities from sums over ten equal bins: reliability curves, ECE and Brier score.

Expected calibration error (ECE): Naeini et al. 2015. Brier score: Brier 1950. Both are exact for these bins.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from server.results.intervals import bootstrap_interval
from server.results.metrics import Floats, Ints


def summarize_calibration(
    calibration: Floats | None, brier: Floats | None, lesions: Ints, classes: Sequence[str] = ()
) -> dict[str, Any]:
    """`calibration` and `brier` of a net; empty without the sums.

    A binary net has one curve. A classifier has one for the probability of its `answer`, and one per class against the
    rest.

    Args:
        calibration: (rows 10 3).
        brier: (1+R) sums.
        lesions: (1+R) counts.
    """
    if calibration is None or brier is None or not lesions[0]:
        return {}
    mean = np.divide(brier, lesions, out=np.full(brier.shape, np.nan), where=lesions > 0)
    found: dict[str, Any] = {"brier": bootstrap_interval(mean, int(lesions[0]), most=2.0)}
    if not classes:
        return found | {"calibration": reliability_curve(calibration[0])}
    by_class = {name: reliability_curve(bins) for name, bins in zip(classes, calibration[:-1], strict=True)}
    return found | {"calibration": {"answer": reliability_curve(calibration[-1]), "classes": by_class}}


def reliability_curve(bins: Floats) -> dict[str, Any]:
    """Reliability curve and expected calibration error of bins (10 3) [lesions, Σ p, Σ right]; empty bins are left out.

    >>> reliability_curve(np.array([[4.0, 1.0, 2.0], [0.0, 0.0, 0.0]]))
    {'predicted': [0.25], 'observed': [0.5], 'n': [4], 'ece': 0.25}
    """
    n, p, right = bins[bins[:, 0] > 0].T
    return {
        "predicted": (p / n).tolist(),
        "observed": (right / n).tolist(),
        "n": n.astype(int).tolist(),
        "ece": float(np.abs(right - p).sum() / n.sum()),
    }
