"""What radiologists said beside what the nets said, as sums. No reader's name leaves: a code of the study or a role."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ceus_models.study.reader_study import ENTRIES, READERS
from ceus_models.study.sample import Sample
from ceus_models.study.taxonomy import LESION_TYPES
from client.worker.tasks.paired_counts import Verdicts, cross_tabulate

Ints = npt.NDArray[np.int64]
_TYPES = len(LESION_TYPES)


@dataclass(frozen=True, eq=False)
class _Readings:
    """rows (m): of the lesions, a lesion as often as it was read · target, said (m): types."""

    rows: Ints
    target: Ints
    said: Ints

    def verdicts(self) -> Verdicts:
        return Verdicts(self.rows, self.target == self.said)

    def without_small(self, cell: int) -> _Readings:
        """Without types of which fewer than `cell` lesions were read."""
        lesions = np.array([len(set(self.rows[self.target == kind])) for kind in range(_TYPES)])
        kept = lesions[self.target] >= cell
        return _Readings(self.rows[kept], self.target[kept], self.said[kept])


def reader_counts(
    cases: Sequence[Sample],
    judged: tuple[Sequence[str], Mapping[str, Verdicts]],
    draws: npt.NDArray[np.int32],
    cell: int,
) -> dict[str, Tensor]:
    """Of one cohort; nothing where it has no reads. judged: the task's classifiers, and which of them were right where.

    right i32 (1+R entries 2 2) [alone or assisted, reads or right ones] · confusion i64 (entries 2 6 6) [true, said] ·
    assistance i64 (readers 2 2) [alone wrong or right, assisted wrong or right] · model i64 (m readers 2 2 2)
    [alone or assisted, classifier wrong or right, reader wrong or right]. Entries are `reading_study.ENTRIES`.
    """
    found = {(e, a): one for e, a, one in _entries(cases, cell)}
    if not found:
        return {}
    classifiers, verdicts = judged
    right = np.zeros((draws.shape[1], len(ENTRIES), 2, 2), np.int32)
    confusion = np.zeros((len(ENTRIES), 2, _TYPES, _TYPES), np.int64)
    assistance = torch.zeros(len(READERS), 2, 2, dtype=torch.int64)
    model = torch.zeros(len(classifiers), len(READERS), 2, 2, 2, dtype=torch.int64)
    for (e, a), one in found.items():
        weights = draws[one.rows].T
        right[:, e, a] = np.stack([weights.sum(1), weights @ (one.target == one.said)], axis=1)
        np.add.at(confusion[e, a], (one.target, one.said), 1)
    for e in range(len(READERS)):
        if (e, 0) in found and (e, 1) in found:
            assistance[e] = _both(found[e, 0], found[e, 1].verdicts(), cell, first=True)
        for (m, name), a in product(enumerate(classifiers), (0, 1)):
            if (e, a) in found and name in verdicts:
                model[m, e, a] = _both(found[e, a], verdicts[name], cell, first=False)
    whole = {"right": torch.from_numpy(right), "confusion": torch.from_numpy(confusion)}
    return {**whole, "assistance": assistance, "model": model}


def _entries(cases: Sequence[Sample], cell: int) -> Iterator[tuple[int, int, _Readings]]:
    """(entry, assisted, readings) of every entry that has some."""
    lists: dict[tuple[int, int], list[tuple[int, int, int]]] = {}
    for row, sample in enumerate(cases):
        if sample.label not in LESION_TYPES:
            continue
        target = LESION_TYPES.index(sample.label)
        for read in sample.readings:
            names = [read.reader] if READERS.get(read.reader) == read.role else []
            for name in (*names, read.role):
                said = (row, target, LESION_TYPES.index(read.diagnosis))
                lists.setdefault((ENTRIES.index(name), int(read.assisted)), []).append(said)
    for (entry, assisted), triples in sorted(lists.items()):
        readings = _Readings(*np.array(triples, dtype=np.int64).T).without_small(cell)
        if len(readings.rows):
            yield entry, assisted, readings


def _both(readings: _Readings, other: Verdicts, cell: int, first: bool) -> Tensor:
    """i64 (2 2) over the lesions of both, types below `cell` left out; `first`: the readings stand first."""
    shared = np.isin(readings.rows, other.rows)
    kept = _Readings(readings.rows[shared], readings.target[shared], readings.said[shared]).without_small(cell)
    pair = (kept.verdicts(), other) if first else (other, kept.verdicts())
    return cross_tabulate(*pair)
