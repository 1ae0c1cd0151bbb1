"""Estimates with 95 % percentile bootstrap intervals (Efron 1979)."""

from __future__ import annotations

import numpy as np

from server.results.metrics import Floats, Ints, ratio

INTERVAL = (2.5, 97.5)
"""Percentiles, as in the reference study."""


def bootstrap_interval(
    rows: Floats, n: int, value: float | None = None, most: float = 1.0, least: float = 0.0
) -> dict[str, float | int | None]:
    """Percentile bootstrap interval of a metric as {value, low, high, n}.

    >>> bootstrap_interval(np.array([0.5, 0.4, 0.6]), 10)
    {'value': 0.5, 'low': 0.405, 'high': 0.595, 'n': 10}

    Args:
        rows: (1+R), the estimate and its replicates.
        n: number of lesions.
        value: a finer estimate than row 0; the replicates are shifted by the difference.
        most, least: range of the metric.

    Returns:
        low and high are None without replicates; all but n are None if the metric is undefined.
    """
    estimate = float(rows[0]) if value is None else value
    replicates = rows[1:][~np.isnan(rows[1:])]
    if np.isnan(estimate) or not len(replicates):
        return {"value": finite_or_none(estimate), "low": None, "high": None, "n": n}
    shifted = np.clip(replicates + (estimate - float(rows[0])), least, most)
    low, high = np.percentile(shifted, INTERVAL)
    return {"value": estimate, "low": float(low), "high": float(high), "n": n}


def finite_or_none(value: float) -> float | None:
    """The number, or None if it is not finite: JSON has no NaN."""
    return value if np.isfinite(value) else None


def estimate_share(counted: Ints, of: Ints) -> dict[str, float | int | None]:
    """The share of (1+R) counts in (1+R) totals, as `bootstrap_interval`."""
    return bootstrap_interval(ratio(counted, of, empty=np.nan), int(of[0]))
