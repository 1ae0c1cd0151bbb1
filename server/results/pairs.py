"""Paired comparison of classifiers: difference of accuracies with its interval, equivalence, and McNemar's test."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ceus_models.metrics.evaluation_release import list_pairs
from ceus_models.protocol.state import State
from server.results.intervals import round_count
from server.results.mcnemar import mcnemar_test
from server.results.metrics import Floats
from server.results.replicates import Resampling
from server.results.uncertainty.equivalence import judge_paired
from server.results.uncertainty.proportions import subtract_paired


def compare_pairs(
    total: State, cohort: str, classifiers: Sequence[str], resampling: Resampling
) -> list[dict[str, Any]]:
    """Compare every two classifiers on the lesions of a cohort (or pool) that both classified, in their order.

    A site shows a pair only where each of its four counts reaches the minimum cell, so `n` may be below the cohort's.
    """
    name = f"{cohort}|pairs|right"
    if name not in total:
        return []
    counts = total[name].numpy().astype(np.float64)  # (pairs 2 2)
    found = []
    for place, (first, second) in enumerate(list_pairs(classifiers)):
        right = counts[place]
        if right.sum() > 0:
            both = {"first": first, "second": second, **mcnemar_test(right, resampling.noise_sd)}
            found.append(both | compare_verdicts(right, resampling))
    return found


def compare_verdicts(right: Floats, sampling: Resampling) -> dict[str, Any]:
    """Accuracy of the first minus that of the second, of (2 2) [first wrong or right, second wrong or right], and
    whether they are equivalent.

    Lesions that both classify alike cancel, so the difference is paired.
    """
    only, n = (float(right[1, 0]), float(right[0, 1])), float(right.sum())
    effective = (only[0] / sampling.design, only[1] / sampling.design), n / sampling.design
    noise = 2 * sampling.noise_sd**2 / n**2
    low, high = subtract_paired(*effective, extra_variance=noise)
    value = min(1.0, max(-1.0, (only[0] - only[1]) / n))
    difference = {"value": value, "low": low, "high": high, "n": round_count(n)}
    return {"difference": difference, "equivalence": judge_paired(*effective, noise)}
