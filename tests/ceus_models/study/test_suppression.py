"""What is not shown cannot be worked out: an adversary solves the linear equations that published tables make."""

from __future__ import annotations

import numpy as np
import pytest

from ceus_models.study.suppression import find_hidden_values, find_small_cells, find_small_groups, is_enough

CELL = 5


def solved(equations: list[np.ndarray], unknowns: int) -> set[int]:
    """The unknowns that equations (rows of coefficients) determine: those whose unit vector is in their span."""
    if not equations:
        return set()
    rows = np.array(equations, dtype=np.float64)
    _, sizes, vectors = np.linalg.svd(rows)
    span = vectors[: int((sizes > 1e-9).sum())]
    return {i for i in range(unknowns) if np.linalg.norm(span.T @ span[:, i] - np.eye(unknowns)[i]) < 1e-6}


def unit(place: int, unknowns: int) -> np.ndarray:
    return np.eye(unknowns)[place]


@pytest.mark.parametrize(
    ("lesions", "cell", "left_out"),
    [
        ((20, 7, 0), 5, (False, False, False)),
        ((20, 3, 0), 5, (True, True, False)),  # one alone could be worked out from the total
        ((30, 4, 2), 5, (False, True, True)),  # six together are enough
        ((30, 8, 2), 5, (False, True, True)),
        ((1, 1, 1), 5, (True, True, True)),
        ((4, 3, 2), 1, (False, False, False)),
        ((0, 0, 0), 5, (False, False, False)),
    ],
)
def test_what_is_left_out_is_at_least_a_cell_or_all(
    lesions: tuple[int, ...], cell: int, left_out: tuple[bool, ...]
) -> None:
    assert find_small_cells(np.array(lesions), cell).tolist() == list(left_out)


def test_no_total_minus_what_is_shown_speaks_of_fewer_than_a_cell() -> None:
    """Random one-way tables with a public total: no small count is shown, solved for, or all that is left."""
    rng = np.random.default_rng(0)
    for _ in range(2000):
        counts = rng.integers(0, rng.integers(2, 30), rng.integers(2, 7))
        few = find_small_cells(counts, CELL)
        assert not ((counts > 0) & (counts < CELL) & ~few).any()
        there = np.flatnonzero(counts)  # at worst the adversary knows which groups are empty
        known = [np.isin(np.arange(len(counts)), there).astype(float)]
        found = solved(known + [unit(i, len(counts)) for i in np.flatnonzero(~few)], len(counts))
        assert len(there) < 2 or not any(0 < counts[i] < CELL for i in found)
        rest = counts[few].sum()
        assert rest == 0 or rest >= CELL or few[there].all()


def test_no_verdict_of_a_group_can_be_worked_out() -> None:
    """Wrong and right by group, with both totals public from the confusion matrix."""
    rng = np.random.default_rng(1)
    shown = 0
    for _ in range(2000):
        groups = int(rng.integers(2, 6))
        counts = rng.integers(0, rng.integers(2, 40), (groups, 2))
        few = find_small_groups(counts, CELL, verdicts=True)
        totals = [np.repeat([[a == 0, a == 1]], groups, 0).reshape(-1).astype(float) for a in (0, 1)]
        cells = [unit(2 * g + a, 2 * groups) for g in np.flatnonzero(~few) for a in (0, 1)]
        found = solved(totals + cells, 2 * groups)
        filled = counts.sum(1) > 0
        small = {2 * g + a for g in range(groups) for a in (0, 1) if filled[g] and counts[g, a] < CELL}
        assert filled.sum() < 2 or not found & small
        rest = counts[few].sum(0)
        assert not few.any() or (rest >= CELL).all() or few[filled].all()
        shown += int((~few & filled).sum())
    assert shown > 500


def test_two_tables_of_the_same_lesions_hide_the_same_values() -> None:
    """The tally shows how many lesions have a value; two nets' subgroups show it beside their right answers."""
    rng = np.random.default_rng(2)
    for _ in range(1000):
        lesions = rng.integers(0, rng.integers(3, 30), 4)
        span = [slice(0, 4)]
        hidden = find_hidden_values(lesions, span, CELL)
        published = [np.ones(4)] + [unit(i, 4) for i in np.flatnonzero(~hidden)]
        for _ in range(2):
            right = rng.integers(0, lesions + 1)
            few = find_small_groups(np.stack([lesions - right, right], 1), CELL, True, hidden)
            assert (few[hidden & (lesions > 0)]).all()
            published += [unit(i, 4) for i in np.flatnonzero(~few & (lesions > 0))]
        small = {i for i in range(3) if 0 < lesions[i] < CELL}  # the last is "unknown"
        assert np.count_nonzero(lesions) < 2 or not solved(published, 4) & small


def test_a_missing_value_is_no_fact_but_hides_too_few_known_ones() -> None:
    assert find_hidden_values(np.array([30, 20, 2]), [slice(0, 3)], CELL).tolist() == [False, False, False]
    assert find_hidden_values(np.array([3, 0, 40]), [slice(0, 3)], CELL).tolist() == [True, False, True]
    assert find_hidden_values(np.array([3, 20, 40]), [slice(0, 3)], CELL).tolist() == [True, True, False]


def test_a_group_that_is_all_right_or_all_wrong_tells_of_every_member() -> None:
    counts = np.array([[0, 20], [20, 0], [20, 20], [20, 20]])
    assert find_small_groups(counts, CELL, verdicts=True).tolist() == [True, True, False, False]
    assert find_small_groups(counts, CELL).tolist() == [False] * 4, "a 0 of the hospital's own table is shown"
    assert find_small_groups(counts, 1, verdicts=True).tolist() == [False] * 4
    assert not is_enough(np.array([20, 0]), CELL)
    assert is_enough(np.array([20, 0]), 1)
