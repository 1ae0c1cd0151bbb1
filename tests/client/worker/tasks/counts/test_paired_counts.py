"""Pairs of classifiers: all four counts, or none."""

from __future__ import annotations

import numpy as np

from client.worker.tasks.counts.paired_counts import Verdicts, count_pairs

NETS = ("fusion/D", "fusion/DC", "fusion/DB")
ROWS = np.arange(60)


def test_pairs_count_the_lesions_of_both() -> None:
    one, other = Verdicts(ROWS, ROWS % 2 == 0), Verdicts(ROWS[10:], ROWS[10:] % 3 == 0)
    found = count_pairs(NETS, {"fusion/D": one, "fusion/DB": other}, 1)
    assert found.shape == (3, 2, 2)
    right = (ROWS[10:] % 2 == 0) * 2 + (ROWS[10:] % 3 == 0)
    assert found[1].reshape(-1).tolist() == np.bincount(right, minlength=4).tolist()
    assert not found[[0, 2]].any(), "fusion/DC was not asked"


def test_a_pair_with_a_small_count_is_left_out_whole() -> None:
    """With both accuracies one count gives the other three."""
    one, other = Verdicts(ROWS, ROWS < 40), Verdicts(ROWS, (ROWS >= 4) & (ROWS < 50))
    verdicts = {"fusion/D": one, "fusion/DC": other}
    assert count_pairs(NETS[:2], verdicts, 4)[0].tolist() == [[10, 10], [4, 36]]
    assert not count_pairs(NETS[:2], verdicts, 5).any()


def test_verdicts_are_counted_wrong_and_right() -> None:
    one = Verdicts(ROWS, ROWS < 40)
    assert one.count().tolist() == [20, 40]
    assert one.count(np.arange(35, 45)).tolist() == [5, 5]
