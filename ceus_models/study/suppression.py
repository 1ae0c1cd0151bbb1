"""Minimum cells with complementary suppression (Cox 1980; Hundepool et al., "Statistical Disclosure Control", 2012).

A count of fewer lesions than the cell is not shown, and neither are as many others as it takes that a total minus what
is shown speaks of at least a cell: of one lesion type or value, or of one answer within it.

Two kinds of count differ in what a 0 tells. That a hospital has no lesion of a type is a fact of the hospital, and is
shown. How many lesions of a group a net classifies correctly is a question that the coordinator chose: with weights
made for it "correct" can mean any fact, and a group with 0 correct, or with all, tells it of every member. So a group
of verdicts is shown only where it has at least a cell of both.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Mask = npt.NDArray[np.bool_]
Counts = npt.NDArray[np.integer]


def find_small_cells(lesions: Counts, cell: int) -> Mask:
    """Which groups (g) of lesions to suppress: those of fewer than `cell`, and further ones, the smallest first, until
    the suppressed lesions are at least `cell`, so that the total does not reveal them.

    >>> find_small_cells(np.array([40, 2, 9, 0]), 5).tolist()
    [False, True, True, False]
    """
    return find_small_groups(lesions[:, None], cell)


def find_small_groups(counts: Counts, cell: int, verdicts: bool = False, also: Mask | None = None) -> Mask:
    """Which groups to suppress of counts (g answers), so that no answer of fewer than `cell` lesions can be worked out.

    Args:
        counts: lesions of each group by answer.
        cell: the minimum cell; 1 suppresses nothing.
        verdicts: whether an answer that no lesion of a group has is too few as well.
        also: (g) groups that are suppressed for another reason.

    >>> find_small_groups(np.array([[30, 9], [20, 0], [8, 7]]), 5, verdicts=True).tolist()
    [False, True, True]
    """
    filled = counts.sum(1) > 0
    if cell <= 1:
        return np.zeros(len(counts), np.bool_)
    few = filled & (_are_few(counts, cell, verdicts).any(1) | (False if also is None else also))
    for place in np.argsort(counts.sum(1), kind="stable"):
        if few.any() and _are_few(counts[few].sum(0), cell, verdicts).any():
            few[place] |= filled[place]
    return np.asarray(few, dtype=np.bool_)


def _are_few(counts: Counts, cell: int, verdicts: bool) -> Mask:
    return np.asarray((counts < cell) & (verdicts | (counts > 0)), dtype=np.bool_)


def is_enough(verdicts: Counts, cell: int) -> bool:
    """Whether counts of verdicts may be shown: at least `cell` lesions in each.

    >>> is_enough(np.array([9, 4]), 5), is_enough(np.array([9, 0]), 1)
    (False, True)
    """
    return cell <= 1 or bool((verdicts >= cell).all())


def find_hidden_values(lesions: Counts, spans: Sequence[slice], cell: int) -> Mask:
    """Which values to suppress of several variables that count the same lesions.

    The last value of a variable is "unknown": a missing value is no fact, so its count is suppressed only where the
    known ones together are fewer than `cell`.

    Args:
        lesions: (values) lesions of every value of every variable.
        spans: the slice of each variable.
        cell: the minimum cell.
    """
    hidden = np.zeros(len(lesions), np.bool_)
    for span in spans:
        known = lesions[span][:-1]
        few = find_small_cells(known, cell)
        unknown = 0 < known[few].sum() < cell
        hidden[span] = [*few, unknown]
    return hidden
