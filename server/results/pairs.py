"""Paired comparison of classifiers: difference of accuracies with its interval, and McNemar's test."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np

from ceus_models.protocol.state import State
from server.results import metrics
from server.results.intervals import interval
from server.results.mcnemar import compared


def pairs_of(total: State, cohort: str, classifiers: Sequence[str]) -> list[dict[str, Any]]:
    """Compare every two classifiers on the lesions of a cohort (or pool) that both classified, in their order."""
    name = f"{cohort}|pairs|right"
    if name not in total:
        return []
    right = total[name].numpy()
    found = []
    for i, j in combinations(range(len(classifiers)), 2):
        if not right[i, j].sum():
            continue
        both = {"first": classifiers[i], "second": classifiers[j], **compared(right[i, j])}
        found.append(both | {"difference": _difference(total, cohort, classifiers[i], classifiers[j], both["n"])})
    return found


def _difference(total: State, cohort: str, first: str, second: str, n: int) -> dict[str, Any]:
    """Accuracy of first minus second. Replicates are paired: a lesion has the same weight for both. Null if the two
    did not classify exactly the same lesions.
    """
    one, other = (total[f"{cohort}|{net}|confusion"].numpy() for net in (first, second))
    if int(one[0].sum()) != n or int(other[0].sum()) != n:
        return interval(np.full(1, np.nan), n)
    return interval(metrics.accuracy(one) - metrics.accuracy(other), n, least=-1.0)
