"""How long readers took and how sure they were, from sums.

Times are skewed, so they are compared as logarithms: means are geometric and a change is a ratio. Whether confidence
tells right from wrong diagnoses is the area under the ROC curve of that question (Galvin et al. 2003, "type 2").
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from server.results import metrics
from server.results.intervals import bootstrap_interval
from server.results.metrics import Floats, Ints
from server.results.replicates import Resampling
from server.results.uncertainty.distributions import t_quantile


def summarize_seconds(moments: Floats, design: float) -> dict[str, Any] | None:
    """The geometric mean as {value, low, high, n}, or the ratio of two times where the moments are of their change.

    Args:
        moments: (3) reads, and the sums of the logarithms and of their squares.
        design: effect of patients with several lesions.

    Returns:
        None of fewer than two reads; no ends where all are alike.
    """
    n, first, second = (float(one) for one in moments)
    if n < 2:
        return None
    mean = first / n
    variance = max(0.0, second / n - mean * mean) * n / (n - 1)
    half = t_quantile(n - 1) * math.sqrt(design * variance / n)
    ends = (math.exp(mean - half), math.exp(mean + half)) if variance > 1e-12 else (None, None)
    return {"value": math.exp(mean), "low": ends[0], "high": ends[1], "n": round(n)}


def summarize_seconds_of_role(readers: Floats) -> dict[str, Any] | None:
    """The mean over a role's readers of the logarithms, as a geometric mean; the interval is over readers.

    readers: (r 3) moments of each.
    """
    known = readers[readers[:, 0] > 0]
    if len(known) < 2:
        return None
    means = known[:, 1] / known[:, 0]
    return summarize_seconds(np.array([len(means), means.sum(), (means**2).sum()]), 1.0)


def summarize_confidence(counts: Ints, sampling: Resampling, name: str) -> dict[str, Any] | None:
    """Of a reader's confidences (5 2) [wrong, right]: `mean`, `mean_wrong`, `mean_right`, `auc`, `counts`.

    name: of the draws.
    """
    reads = counts.sum(0).astype(float)
    if not reads.sum():
        return None
    levels = np.arange(1, len(counts) + 1)
    wrong, right = (float(levels @ counts[:, side] / n) if (n := reads[side]) else None for side in (0, 1))
    drawn = sampling.draw(name, counts.T)  # (1+R 2 5)
    return {
        "n": int(reads.sum()),
        "mean": float(levels @ counts.sum(1) / reads.sum()),
        "mean_wrong": wrong,
        "mean_right": right,
        "auc": bootstrap_interval(metrics.auc(drawn), int(reads.sum())),
        "counts": counts.tolist(),
    }
