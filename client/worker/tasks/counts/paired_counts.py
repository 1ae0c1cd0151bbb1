"""Whether classifiers were right, lesion by lesion: it stays at the site, only how often they differ leaves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ceus_models.metrics.evaluation_release import list_pairs
from ceus_models.study.suppression import is_enough


@dataclass(frozen=True, eq=False)
class Verdicts:
    """rows (m): places of lesions in their cohort, rising · right (m): whether the classifier named the type."""

    rows: npt.NDArray[np.int64]
    right: npt.NDArray[np.bool_]

    def count(self, rows: npt.NDArray[np.int64] | None = None) -> npt.NDArray[np.int64]:
        """(2) [wrong, right], over all lesions or over those of `rows`."""
        right = self.right if rows is None else self.right[np.isin(self.rows, rows)]
        return np.array([np.count_nonzero(~right), np.count_nonzero(right)])


def count_pairs(classifiers: Sequence[str], verdicts: Mapping[str, Verdicts], cell: int) -> Tensor:
    """i64 (pairs 2 2): of the lesions that both were asked about, how often [first, second] were [wrong or right].

    From these counts come McNemar's tests. With the accuracy of both one cell gives the others, so a pair with a cell
    below the minimum is all zeros, as is one with a classifier that has no verdicts.
    """
    pairs = list_pairs(classifiers)
    out = torch.zeros(len(pairs), 2, 2, dtype=torch.int64)
    for place, (one, other) in enumerate(pairs):
        if one in verdicts and other in verdicts:
            out[place] = cross_tabulate(verdicts[one], verdicts[other], cell)
    return out


def cross_tabulate(one: Verdicts, other: Verdicts, cell: int) -> Tensor:
    """i64 (2 2) [one wrong or right, other wrong or right] over the lesions of both; zeros where one is few."""
    _, left, right = np.intersect1d(one.rows, other.rows, return_indices=True)
    counts = np.bincount(one.right[left].astype(np.int64) * 2 + other.right[right], minlength=4)
    return torch.from_numpy(counts if is_enough(counts, cell) else np.zeros_like(counts)).reshape(2, 2)
