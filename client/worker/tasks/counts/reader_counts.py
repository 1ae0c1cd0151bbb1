"""What radiologists said beside what the nets said, as sums. No reader's name leaves: a code of the study or a role.

Readers rarely read the same lesions, so their tables can be subtracted. Lesions are told apart by who read them and
how: those of one type that the same readers read are counted, or left out of all tables, together.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ceus_models.study.reader_study import ENTRIES, READERS
from ceus_models.study.sample import Sample
from ceus_models.study.suppression import find_small_cells, is_enough
from ceus_models.study.taxonomy import LESION_TYPES
from client.worker.tasks.counts.paired_counts import Verdicts, cross_tabulate

Ints = npt.NDArray[np.int64]
_TYPES = len(LESION_TYPES)
_Pattern = frozenset[tuple[int, int]]
"""Who read a lesion: (entry, alone or assisted)."""


@dataclass(frozen=True, eq=False)
class _Readings:
    """rows (m): of the lesions, a lesion as often as it was read · target, said (m): types."""

    rows: Ints
    target: Ints
    said: Ints

    def verdicts(self) -> Verdicts:
        return Verdicts(self.rows, self.target == self.said)


def reader_counts(
    cases: Sequence[Sample], judged: tuple[Sequence[str], Mapping[str, Verdicts]], cell: int
) -> dict[str, Tensor]:
    """Of one cohort; nothing where it has no reads. judged: the task's classifiers, and which of them were right where.

    confusion i64 (entries 2 6 6) [alone or assisted, true, said] · assistance i64 (readers 2 2) [alone wrong or right,
    assisted wrong or right] · model i64 (m readers 2 2 2) [alone or assisted, classifier wrong or right, reader wrong
    or right]. Entries are `reader_study.ENTRIES`: a role's is that of its readers without a code.
    """
    patterns = _group_lesions(cases, cell)
    found = {(e, a): one for e, a, one in _entries(cases, {row for rows in patterns.values() for row in rows})}
    if not found:
        return {}
    classifiers, verdicts = judged
    confusion = np.zeros((len(ENTRIES), 2, _TYPES, _TYPES), np.int64)
    assistance = torch.zeros(len(READERS), 2, 2, dtype=torch.int64)
    model = torch.zeros(len(classifiers), len(READERS), 2, 2, 2, dtype=torch.int64)
    for (e, a), one in found.items():
        np.add.at(confusion[e, a], (one.target, one.said), 1)
    for e in range(len(READERS)):
        if (e, 0) in found and (e, 1) in found:
            assistance[e] = cross_tabulate(found[e, 0].verdicts(), found[e, 1].verdicts(), cell)
    for m, name in enumerate(classifiers):
        if name not in verdicts or not _may_be_compared(verdicts[name], patterns, cell):
            continue
        for e, a in product(range(len(READERS)), (0, 1)):
            if (e, a) in found:
                model[m, e, a] = cross_tabulate(verdicts[name], found[e, a].verdicts(), cell)
    return {"confusion": torch.from_numpy(confusion), "assistance": assistance, "model": model}


def _group_lesions(cases: Sequence[Sample], cell: int) -> dict[_Pattern, list[int]]:
    """The rows of the lesions that may be counted, by who read them."""
    read = [frozenset((_find_entry(r.reader, r.role), int(r.assisted)) for r in sample.readings) for sample in cases]
    kept: dict[_Pattern, list[int]] = {}
    for kind in LESION_TYPES:
        rows = [row for row, sample in enumerate(cases) if sample.label == kind]
        held = Counter(read[row] for row in rows)
        few = dict(zip(held, find_small_cells(np.array(list(held.values()), np.int64), cell), strict=True))
        for row in rows:
            if not few[read[row]]:
                kept.setdefault(read[row], []).append(row)
    return kept


def _may_be_compared(verdicts: Verdicts, patterns: Mapping[_Pattern, list[int]], cell: int) -> bool:
    """Whether the lesions of every pattern, and those of none, have at least `cell` right and wrong answers.

    A table of the classifier beside a reader is over some patterns; its confusion matrix over all and the rest.
    """
    kept = np.array(sorted(row for rows in patterns.values() for row in rows), np.int64)
    parts = [*(np.array(rows, np.int64) for rows in patterns.values()), np.setdiff1d(verdicts.rows, kept)]
    counts = [verdicts.count(rows) for rows in parts]
    return all(is_enough(count, cell) for count in counts if count.sum())


def _find_entry(reader: str, role: str) -> int:
    return ENTRIES.index(reader if READERS.get(reader) == role else role)


def _entries(cases: Sequence[Sample], kept: set[int]) -> Iterator[tuple[int, int, _Readings]]:
    """(entry, assisted, readings) of every entry that has some."""
    lists: dict[tuple[int, int], list[tuple[int, int, int]]] = {}
    for row in sorted(kept):
        target = LESION_TYPES.index(str(cases[row].label))
        for read in cases[row].readings:
            said = (row, target, LESION_TYPES.index(read.diagnosis))
            lists.setdefault((_find_entry(read.reader, read.role), int(read.assisted)), []).append(said)
    for (entry, assisted), triples in sorted(lists.items()):
        yield entry, assisted, _Readings(*np.array(triples, dtype=np.int64).T)
