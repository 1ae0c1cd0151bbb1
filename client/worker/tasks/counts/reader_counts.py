"""What radiologists said beside what the nets said, as sums. No reader's name leaves: a code of the study or a role.

Readers rarely read the same lesions, so their tables can be subtracted. Lesions are told apart by who read them and
how: those of one type that the same readers read are counted, or left out of all tables, together.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ceus_models.study.reader_study import CONFIDENCE, ENTRIES, READ_PAIRS, READERS
from ceus_models.study.sample import Reading, Sample
from ceus_models.study.suppression import find_small_cells, is_enough
from ceus_models.study.taxonomy import LESION_TYPES
from client.worker.tasks.counts.paired_counts import Verdicts, cross_tabulate
from client.worker.tasks.counts.reading_effort import count_confidence, sum_seconds, sum_seconds_change

Ints = npt.NDArray[np.int64]
_TYPES = len(LESION_TYPES)
_Pattern = frozenset[tuple[int, int]]
"""Who read a lesion: (entry, alone or assisted)."""


@dataclass(frozen=True, eq=False)
class _Readings:
    """rows (m): of the lesions, a lesion as often as it was read · target, said (m): types · confidence (m): 0 where it
    is not recorded · seconds (m): NaN where they are not.
    """

    rows: Ints
    target: Ints
    said: Ints
    confidence: Ints
    seconds: npt.NDArray[np.float64]

    def verdicts(self) -> Verdicts:
        return Verdicts(self.rows, self.target == self.said)


def reader_counts(
    cases: Sequence[Sample], judged: tuple[Sequence[str], Mapping[str, Verdicts]], cell: int
) -> dict[str, Tensor]:
    """Of one cohort; nothing where it has no reads. judged: the task's classifiers, and which of them were right where.

    confusion i64 (entries 2 6 6) [alone or assisted, true, said] · pairs i64 (`READ_PAIRS` 2 2) [one wrong or right,
    the other wrong or right] · model i64 (m readers 2 2 2) [alone or assisted, classifier wrong or right, reader wrong
    or right] · confidence, seconds, seconds_change: see `reading_effort`. Entries are `reader_study.ENTRIES`: a role's
    is that of its readers without a code.
    """
    patterns = _group_lesions(cases, cell)
    found = {(e, a): one for e, a, one in _entries(cases, {row for rows in patterns.values() for row in rows})}
    if not found:
        return {}
    classifiers, verdicts = judged
    confusion = np.zeros((len(ENTRIES), 2, _TYPES, _TYPES), np.int64)
    pairs = torch.zeros(len(READ_PAIRS), 2, 2, dtype=torch.int64)
    model = torch.zeros(len(classifiers), len(READERS), 2, 2, 2, dtype=torch.int64)
    for (e, a), one in found.items():
        np.add.at(confusion[e, a], (one.target, one.said), 1)
    for place, (first, second) in enumerate(READ_PAIRS):
        if first in found and second in found:
            pairs[place] = cross_tabulate(found[first].verdicts(), found[second].verdicts(), cell)
    for m, name in enumerate(classifiers):
        if name not in verdicts or not _may_be_compared(verdicts[name], patterns, cell):
            continue
        for e, a in product(range(len(READERS)), (0, 1)):
            if (e, a) in found:
                model[m, e, a] = cross_tabulate(verdicts[name], found[e, a].verdicts(), cell)
    return {"confusion": torch.from_numpy(confusion), "pairs": pairs, "model": model, **_sum_effort(found, cell)}


def _sum_effort(found: Mapping[tuple[int, int], _Readings], cell: int) -> dict[str, Tensor]:
    """How sure the readers with a code were, and how long they took."""
    confidence = np.zeros((len(READERS), 2, len(CONFIDENCE), 2), np.int64)
    seconds, change = np.zeros((len(READERS), 2, 3)), np.zeros((len(READERS), 3))
    for e, a in product(range(len(READERS)), (0, 1)):
        if (e, a) in found:
            one = found[e, a]
            confidence[e, a] = count_confidence(one.confidence, one.target == one.said, cell)
            seconds[e, a] = sum_seconds(one.seconds, cell)
    for e in range(len(READERS)):
        if (e, 0) in found and (e, 1) in found:
            alone, assisted = ((found[e, a].rows, found[e, a].seconds) for a in (0, 1))
            change[e] = sum_seconds_change(alone, assisted, cell)
    sums = {"confidence": confidence, "seconds": seconds, "seconds_change": change}
    return {name: torch.from_numpy(one) for name, one in sums.items()}


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
    lists: dict[tuple[int, int], list[tuple[int, Reading]]] = {}
    for row in sorted(kept):
        for read in cases[row].readings:
            lists.setdefault((_find_entry(read.reader, read.role), int(read.assisted)), []).append((row, read))
    for (entry, assisted), reads in sorted(lists.items()):
        rows = np.array([row for row, _ in reads], np.int64)
        target = np.array([LESION_TYPES.index(str(cases[row].label)) for row in rows], np.int64)
        said = np.array([LESION_TYPES.index(read.diagnosis) for _, read in reads], np.int64)
        confidence = np.array([read.confidence or 0 for _, read in reads], np.int64)
        seconds = np.array([math.nan if read.seconds is None else read.seconds for _, read in reads])
        yield entry, assisted, _Readings(rows, target, said, confidence, seconds)
