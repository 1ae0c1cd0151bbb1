"""Estimates with 95 % percentile bootstrap intervals (Efron 1979)."""

from __future__ import annotations

import numpy as np

from server.results.metrics import Counts, Floats, ratio

INTERVAL = (2.5, 97.5)
"""Percentiles, as in the reference study."""


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
        low and high are None without replicates; all but n are None if the metric is undefined.
    """
    estimate, replicates = float(np.clip(rows[0], least, most)), rows[1:][~np.isnan(rows[1:])]
    low, high = None, None
    if not np.isnan(estimate) and len(replicates):
        low, high = (float(end) for end in np.percentile(np.clip(replicates, least, most), INTERVAL))
    found = {"value": finite_or_none(estimate), "low": low, "high": high, "n": n}
    return found if resolution is None else found | {"resolution": finite_or_none(resolution)}


def finite_or_none(value: float) -> float | None:
    """The number, or None if it is not finite: JSON has no NaN."""
    return value if np.isfinite(value) else None


def round_count(value: float) -> int:
    """A count as a whole number of at least 0; noise can make it another."""
    return max(0, round(float(value)))


def estimate_share(counted: Counts, of: Counts) -> dict[str, float | int | None]:
    """The share of (1+R) counts in (1+R) totals, as `bootstrap_interval`."""
    return bootstrap_interval(ratio(counted, of, empty=np.nan), round_count(of[0]))
