"""The lesions of a cohort of which a site speaks at all, the same in every table of every task.

Tables over different lesions can be subtracted. So one set serves the tally, every net, subgroup, pair and reader: the
lesions of all types that are not below the minimum cell, those left out being at least a cell themselves.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from ceus_models.study.sample import Sample
from ceus_models.study.suppression import find_small_cells
from ceus_models.study.taxonomy import LESION_TYPES


def select_population(samples: Sequence[Sample], cell: int) -> list[Sample]:
    """The lesions of shown types, in their order; all of them, also those without a type, where `cell` is 1."""
    if cell <= 1:
        return list(samples)
    held = Counter(sample.label for sample in samples)
    few = find_small_cells(np.array([held[kind] for kind in LESION_TYPES]), cell)
    shown = {kind for kind, hidden in zip(LESION_TYPES, few, strict=True) if not hidden}
    return [sample for sample in samples if sample.label in shown]


def cap_patients(samples: Sequence[Sample], most: int) -> list[Sample]:
    """The lesions without those beyond the first `most` of a patient, by key."""
    seen: Counter[str] = Counter()
    kept = set()
    for sample in sorted(samples, key=lambda s: s.key):
        seen[sample.patient] += 1
        if seen[sample.patient] <= most:
            kept.add(sample.key)
    return [sample for sample in samples if sample.key in kept]
