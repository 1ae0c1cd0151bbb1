"""An estimate with its 95 % interval, from the estimate itself and its bootstrap replicates."""

from __future__ import annotations

import numpy as np

from server.results.metrics import Floats, Ints, ratio

INTERVAL = (2.5, 97.5)
"""Percentiles, as in the study."""


def interval(
    rows: Floats, n: int, value: float | None = None, most: float = 1.0, least: float = 0.0
) -> dict[str, float | int | None]:
    """{value, low, high, n} of a metric. rows (1+R): the estimate, then its replicates.

    value: a better estimate than row 0, by whose difference the replicates are shifted · least, most: what the metric
    can be. low and high are null without replicates; everything is null where the metric is not defined.
    """
    estimate = float(rows[0]) if value is None else value
    replicates = rows[1:][~np.isnan(rows[1:])]
    if np.isnan(estimate) or not len(replicates):
        return {"value": number(estimate), "low": None, "high": None, "n": n}
    shifted = np.clip(replicates + (estimate - float(rows[0])), least, most)
    low, high = np.percentile(shifted, INTERVAL)
    return {"value": estimate, "low": float(low), "high": float(high), "n": n}


def number(value: float) -> float | None:
    """The number, or None where it is not finite: JSON has no NaN."""
    return value if np.isfinite(value) else None


def share(counted: Ints, of: Ints) -> dict[str, float | int | None]:
    """The share of (1+R) counts in (1+R) others, as `interval`."""
    return interval(ratio(counted, of, empty=np.nan), int(of[0]))
