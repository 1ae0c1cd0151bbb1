"""Whether classifiers were right, lesion by lesion: it stays at the site, only how often they differ leaves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Verdicts:
    """rows (m): places of lesions in their cohort, rising · right (m): whether the classifier named the type."""

    rows: npt.NDArray[np.int64]
    right: npt.NDArray[np.bool_]


def count_pairs(classifiers: Sequence[str], verdicts: Mapping[str, Verdicts]) -> Tensor:
    """i64 (m m 2 2): of the lesions that both were asked about, how often [i, j] were [wrong or right, wrong or right].

    From these counts come McNemar's tests; a classifier without verdicts has zeros.
    """
    out = torch.zeros(len(classifiers), len(classifiers), 2, 2, dtype=torch.int64)
    for i, one in enumerate(classifiers):
        for j, other in enumerate(classifiers):
            if one in verdicts and other in verdicts:
                out[i, j] = cross_tabulate(verdicts[one], verdicts[other])
    return out


def cross_tabulate(one: Verdicts, other: Verdicts) -> Tensor:
    """i64 (2 2) [one wrong or right, other wrong or right] over the lesions of both."""
    _, left, right = np.intersect1d(one.rows, other.rows, assume_unique=True, return_indices=True)
    cell = one.right[left].astype(np.int64) * 2 + other.right[right]
    return torch.from_numpy(np.bincount(cell, minlength=4).reshape(2, 2))
