"""Estimates with 95 % intervals: proportions by Wilson's score, others by percentiles of a bootstrap (Efron 1979)."""

from __future__ import annotations

import numpy as np

from server.results.metrics import Floats
from server.results.replicates import Resampling
from server.results.uncertainty.proportions import wilson_interval

INTERVAL = (2.5, 97.5)
"""Percentiles, as in the reference study."""
SMALLEST_WIDTH = 1e-9


def bootstrap_interval(
    rows: Floats, n: int, most: float = 1.0, least: float = 0.0, resolution: float | None = None
) -> dict[str, float | int | None]:
    """Percentile bootstrap interval of a metric as {value, low, high, n}.

    >>> bootstrap_interval(np.array([0.5, 0.4, 0.6]), 10)
    {'value': 0.5, 'low': 0.405, 'high': 0.595, 'n': 10}

    Args:
        rows: (1+R), the estimate and its replicates.
        n: number of lesions.
        most, least: range of the metric.
        resolution: largest error of the estimate from binned scores, where it has one: added under this name.

    Returns:
        low and high are None without replicates, and where all replicates are alike, as of a perfect answer: such a
        bootstrap knows no interval. All but n are None if the metric is undefined.
    """
    estimate, replicates = float(np.clip(rows[0], least, most)), rows[1:][~np.isnan(rows[1:])]
    low, high = None, None
    if not np.isnan(estimate) and len(replicates):
        ends = [float(end) for end in np.percentile(np.clip(replicates, least, most), INTERVAL)]
        low, high = ends if ends[1] - ends[0] > SMALLEST_WIDTH else (None, None)
    found = {"value": finite_or_none(estimate), "low": low, "high": high, "n": n}
    return found if resolution is None else found | {"resolution": finite_or_none(resolution)}


def finite_or_none(value: float) -> float | None:
    """The number, or None if it is not finite: JSON has no NaN."""
    return value if np.isfinite(value) else None


def round_count(value: float) -> int:
    """A count as a whole number of at least 0; noise can make it another."""
    return max(0, round(float(value)))


def estimate_share(
    counted: float, of: float, sampling: Resampling, cells: tuple[int, int] = (1, 2)
) -> dict[str, float | int | None]:
    """A proportion with Wilson's interval as {value, low, high, n}; all but n are None of no lesions.

    >>> found = estimate_share(10, 10, Resampling())
    >>> found["value"], round(found["low"], 3), found["high"], found["n"]
    (1.0, 0.722, 1.0, 10)

    Args:
        counted: lesions that count.
        of: lesions among which they are.
        sampling: whose design effect and noise widen the interval.
        cells: number of cells of a table that `counted`, and that `of`, adds up.
    """
    if of <= 0:
        return {"value": None, "low": None, "high": None, "n": 0}
    value = min(1.0, max(0.0, float(counted) / float(of)))
    n = float(of) / sampling.inflate(float(counted), float(of), cells)
    low, high = wilson_interval(value * n, n)
    return {"value": value, "low": low, "high": high, "n": round_count(of)}
