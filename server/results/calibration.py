"""Calibration of probabilities from the histogram of scores: reliability curves, ECE and Brier score.

Expected calibration error (ECE): Naeini et al. 2015; of a classifier over all its classes together, classwise: Kull et
al. 2019. Brier score: Brier 1950. A lesion counts with the centre of its bin; lesions in each tenth of the probability,
and those that are positive among them, are counted exactly.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ceus_models.metrics.binned_loss import bound_brier_error, sum_brier
from ceus_models.metrics.score_bins import BINS, CENTRES, EDGES, sum_deciles
from server.results.clinical.calibration_line import calibration_line
from server.results.intervals import bootstrap_interval, estimate_share, round_count
from server.results.metrics import Floats, ratio
from server.results.replicates import Resampling


def summarize_calibration(scores: Floats, sampling: Resampling, classes: Sequence[str] = ()) -> dict[str, Any]:
    """`calibration` and `brier` of a net; empty without lesions.

    A binary net has one curve. A classifier has one for each class against the rest, and one for `all` of them. Those
    of one question have `low` and `high` of each share, and the `slope` and `intercept` of `calibration_line` too. All
    classes together have no interval: the answers to a lesion depend on each other.

    Args:
        scores: (1+R k 2 32) the histogram and its replicates.
        sampling: of the lesions.
        classes: names of the outputs of a classifier.
    """
    lesions = scores[:, 0].sum((1, 2))
    if lesions[0] <= 0:
        return {}
    bound = bound_brier_error(scores[0]) / float(lesions[0])
    brier = bootstrap_interval(ratio(sum_brier(scores), lesions, np.nan), round_count(lesions[0]), 2.0, 0.0, bound)
    if not classes:
        return {"brier": brier, "calibration": _describe(scores[0, 0], sampling)}
    by_class = {name: _describe(one, sampling) for name, one in zip(classes, scores[0], strict=True)}
    return {"brier": brier, "calibration": {"all": reliability_curve(scores[0].sum(0)), "classes": by_class}}


def _describe(histogram: Floats, sampling: Resampling) -> dict[str, Any]:
    """Curve, with the interval of each share, and line of a histogram (2 32)."""
    ends = _bound_shares(histogram, sampling)
    return {**reliability_curve(histogram), **ends, **calibration_line(histogram, sampling)}


def _bound_shares(histogram: Floats, sampling: Resampling) -> dict[str, list[float | int | None]]:
    """`low` and `high` of the share of positives in each tenth of the probability that holds lesions."""
    counts, bins = np.maximum(histogram, 0.0), sum_deciles(np.ones(BINS)).astype(int)
    tenths = zip(sum_deciles(counts[1]), sum_deciles(counts.sum(0)), bins.tolist(), strict=True)
    found = [estimate_share(right, n, sampling, (k, 2 * k)) for right, n, k in tenths if n > 0]
    return {end: [one[end] for one in found] for end in ("low", "high")}


def reliability_curve(scores: Floats) -> dict[str, Any]:
    """Reliability curve and expected calibration error of a histogram (2 32); empty tenths are left out.

    `resolution`: largest error of the ECE, and of a predicted mean probability, from the bins.

    >>> histogram = np.zeros((2, 32)); histogram[:, 11] = (1, 3)
    >>> curve = reliability_curve(histogram)
    >>> curve["n"], curve["observed"], round(curve["ece"], 3)
    ([4], [0.75], 0.475)
    """
    counts = np.maximum(scores, 0.0)
    lesions, right = sum_deciles(counts.sum(0)), sum_deciles(counts[1])
    there = lesions > 0
    n, right, p = lesions[there], right[there], sum_deciles(counts.sum(0) * CENTRES)[there]
    half_widths = (EDGES[1:] - EDGES[:-1]) / 2
    return {
        "predicted": (p / n).tolist(),
        "observed": (right / n).tolist(),
        "n": [round_count(x) for x in n],
        "ece": float(np.abs(right - p).sum() / n.sum()) if n.size else 0.0,
        "resolution": float((counts.sum(0) * half_widths).sum() / n.sum()) if n.size else 0.0,
    }
