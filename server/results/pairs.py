"""Paired comparison of classifiers: difference of accuracies with its interval, and McNemar's test."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ceus_models.metrics.evaluation_release import list_pairs
from ceus_models.protocol.state import State
from server.results.intervals import bootstrap_interval
from server.results.mcnemar import mcnemar_test
from server.results.metrics import Floats, ratio
from server.results.replicates import Resampling


def compare_pairs(
    total: State, cohort: str, classifiers: Sequence[str], resampling: Resampling
) -> list[dict[str, Any]]:
    """Compare every two classifiers on the lesions of a cohort (or pool) that both classified, in their order.

    A site shows a pair only where each of its four counts reaches the minimum cell, so `n` may be below the cohort's.
    """
    name = f"{cohort}|pairs|right"
    if name not in total:
        return []
    drawn = resampling.read(total, name)  # (1+R pairs 2 2)
    found = []
    for place, (first, second) in enumerate(list_pairs(classifiers)):
        right = drawn[:, place]
        if right[0].sum() > 0:
            both = {"first": first, "second": second, **mcnemar_test(right[0], resampling.noise_sd)}
            found.append(both | {"difference": bootstrap_interval(_subtract(right), both["n"], least=-1.0)})
    return found


def _subtract(right: Floats) -> Floats:
    """Accuracy of the first minus that of the second, of (1+R 2 2) [first wrong or right, second wrong or right].

    Lesions that both classify alike cancel, so the difference is paired.
    """
    return ratio(right[:, 1, 0] - right[:, 0, 1], right.sum((1, 2)), empty=float("nan"))
