"""Facts of patients, as an attack claims them and as they are, and how many of them agree."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ceus_models.study.sample import Sample
from ceus_models.study.taxonomy import LESION_TYPES

Fact = tuple[float, ...]
"""Numbers that belong together, such as the clinical values and the type of one lesion; NaN = not recorded."""
TOLERANCE = 1e-3
"""Largest error of a recovered number, in units of max(1, |value|)."""


@dataclass(frozen=True)
class Score:
    """How much of the truth an attack found.

    Args:
        recovered: facts that were found out.
        of: facts.
        note: what else the attack measured.
        bound: what an audit shows ε to be at least.
    """

    recovered: int
    of: int
    note: str = ""
    bound: float | None = None


def describe_record(sample: Sample) -> Fact:
    """A lesion's type as its index in LESION_TYPES, then its clinical values."""
    return (float(LESION_TYPES.index(str(sample.label))), *map(float, sample.clinical))


def agree(claimed: Fact, true: Fact, tolerance: float = TOLERANCE) -> bool:
    """Whether all numbers of two facts agree.

    >>> agree((1.0, math.nan), (1.0004, math.nan)), agree((1.0,), (1.1,))
    (True, False)
    """
    if len(claimed) != len(true):
        return False
    a, b = np.array(claimed), np.array(true)
    close = np.abs(a - b) <= tolerance * np.maximum(1.0, np.abs(b))
    return bool(np.all(close | (np.isnan(a) & np.isnan(b))))


def count_recovered(claimed: Sequence[Fact], true: Sequence[Fact]) -> Score:
    """How many true facts are among the claimed ones, each claim for one fact."""
    left = list(claimed)
    found = 0
    for fact in true:
        match = next((i for i, claim in enumerate(left) if agree(claim, fact)), None)
        if match is not None:
            left.pop(match)
            found += 1
    return Score(found, len(true))


def is_plausible(fact: Fact, binaries: Sequence[int]) -> bool:
    """Whether the numbers at `binaries` are 0, 1 or missing: a mixture of two patients is mostly not."""
    values = [fact[place] for place in binaries]
    return all(math.isnan(v) or min(abs(v), abs(v - 1)) < TOLERANCE for v in values)
