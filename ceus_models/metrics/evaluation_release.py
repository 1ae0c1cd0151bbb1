"""What an evaluation releases of a cohort, and how far one patient can change it.

A lesion is in one cell of every table: of a net's confusion matrix, of the histogram of each of its outputs, and of the
joint correctness of every two classifiers. A noised evaluation releases these tables and nothing else.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import combinations

from ceus_models.metrics.score_bins import BINS
from ceus_models.protocol.messages import Level
from ceus_models.study.taxonomy import count_outputs, select_classifiers

LESIONS_PER_PATIENT = 2
"""More lesions of a patient than these are left out of a noised evaluation."""
NOISED_LEVELS: tuple[Level, ...] = ("distributed", "local")


def list_tables(nets: Sequence[str], comparisons: bool = True) -> Mapping[str, tuple[int, ...]]:
    """Name (without its cohort) → shape of the tables of an evaluation, in the order in which they are noised.

    >>> list_tables(("disease/HCC",))
    {'disease/HCC|confusion': (2, 2), 'disease/HCC|scores': (1, 2, 32)}
    """
    classifiers = select_classifiers(nets) if comparisons else ()
    tables: dict[str, tuple[int, ...]] = {}
    for net in dict.fromkeys((*nets, *classifiers)):
        k = count_outputs(net)
        tables |= {f"{net}|confusion": (max(k, 2), max(k, 2)), f"{net}|scores": (k, 2, BINS)}
    if pairs := list_pairs(classifiers):
        tables["pairs|right"] = (len(pairs), 2, 2)
    return tables


def list_pairs(classifiers: Sequence[str]) -> list[tuple[str, str]]:
    """Every two classifiers, in the order of the first axis of `pairs|right`."""
    return list(combinations(classifiers, 2))


def evaluation_sensitivity(
    nets: Sequence[str], lesions_per_patient: int = LESIONS_PER_PATIENT, comparisons: bool = True
) -> float:
    """Largest L2 norm of what one patient adds to all tables of all cohorts of an evaluation.

    Every table, and every output's histogram in one, gets each lesion in one cell. The norm is largest where a
    patient's lesions share all their cells: lesions · √tables.

    >>> evaluation_sensitivity(("disease/HCC",)) == 2 * 2**0.5
    True
    """
    tables = list_tables(nets, comparisons)
    blocks = sum(1 if name.endswith("confusion") else shape[0] for name, shape in tables.items())
    return lesions_per_patient * math.sqrt(blocks)
