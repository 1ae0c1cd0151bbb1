"""How sure readers were and how long they took, as sums.

Of a reader all reads are counted or none: beside the table of all, a table of nearly all would single out the rest, and
what is left after the rare answers are taken out is not what the reader said.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ceus_models.study.reader_study import CONFIDENCE
from ceus_models.study.suppression import find_small_groups

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Timed = tuple[Ints, Floats]
"""rows (m): of the lesions, rising · seconds (m): of their reads, NaN where they are not recorded."""
SHORTEST_S = 1.0
"""Shorter reads count as this long: times are added as logarithms."""


def count_confidence(confidence: Ints, right: npt.NDArray[np.bool_], cell: int) -> Ints:
    """i64 (5 2): reads by confidence, [wrong, right]; zeros where one is not recorded, or a count is small.

    Args:
        confidence: (m) one of `CONFIDENCE`, 0 where it is not recorded.
        right: (m) whether the diagnosis was right.
        cell: the minimum cell.
    """
    counts = np.zeros((len(CONFIDENCE), 2), np.int64)
    if not np.isin(confidence, CONFIDENCE).all():
        return counts
    np.add.at(counts, (confidence - CONFIDENCE[0], right.astype(np.int64)), 1)
    return counts * int(not find_small_groups(counts, cell).any())


def sum_seconds(seconds: Floats, cell: int) -> Floats:
    """(3): reads, and the sums of the logarithm of their seconds and of its square; zeros of fewer than `cell`."""
    return _sum_moments(np.log(np.maximum(seconds, SHORTEST_S)), cell)


def sum_seconds_change(alone: Timed, assisted: Timed, cell: int) -> Floats:
    """(3): lesions that were read both ways, and the sums of log assisted - log alone seconds and of its square."""
    _, first, second = np.intersect1d(alone[0], assisted[0], return_indices=True)
    before, after = (np.log(np.maximum(s, SHORTEST_S)) for s in (alone[1][first], assisted[1][second]))
    return _sum_moments(after - before, cell)


def _sum_moments(values: Floats, cell: int) -> Floats:
    if len(values) < cell or np.isnan(values).any():
        return np.zeros(3)
    return np.array([len(values), values.sum(), (values**2).sum()])
