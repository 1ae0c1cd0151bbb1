"""Claims are counted once each, and only where every number agrees."""

from __future__ import annotations

from math import nan

import pytest

from sim.attacks.facts import agree, count_recovered, is_plausible

TRUE = [(0.0, 61.0, nan), (1.0, 40.0, 3.0), (1.0, 40.0, 3.0)]


@pytest.mark.parametrize(
    ("claimed", "found"),
    [
        ([], 0),
        ([(0.0, 61.0, nan)], 1),
        ([(0.0, 61.0, 2.0)], 0),  # what is not recorded must be claimed so
        ([(1.0, 40.0, 3.0)], 1),  # one claim is for one lesion
        ([(1.0, 40.03, 3.0), (1.0, 40.05, 3.0)], 1),  # within a thousandth, and beyond
        (TRUE, 3),
    ],
)
def test_a_claim_counts_for_one_fact(claimed: list[tuple[float, ...]], found: int) -> None:
    score = count_recovered(claimed, TRUE)
    assert (score.recovered, score.of) == (found, 3)


def test_facts_of_other_lengths_do_not_agree() -> None:
    assert not agree((1.0,), (1.0, 2.0))


def test_a_mixture_of_two_patients_is_not_plausible() -> None:
    assert is_plausible((3.0, 1.0, 0.0004, nan), (1, 2, 3))
    assert not is_plausible((3.0, 0.37, 0.0), (1, 2))
