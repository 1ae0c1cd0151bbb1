"""Intervals and differences from sums, against a bootstrap over rows."""

from __future__ import annotations

import numpy as np
import pytest
from statsmodels.stats.proportion import proportion_confint

from ceus_models.metrics.bootstrap import poisson_weights
from sim.experiments.arm_table import describe_equivalence
from sim.experiments.paired import (
    Estimate,
    compute_difference,
    compute_estimate,
    compute_metric_rows,
    compute_share,
    compute_share_difference,
    is_equivalent,
    is_significant,
)

KEYS = [f"lesion-{n}" for n in range(80)]
DRAW = np.random.default_rng(5)
TRUTH = DRAW.integers(0, 3, len(KEYS))
GOOD = np.where(DRAW.random(len(KEYS)) < 0.8, TRUTH, (TRUTH + 1) % 3)
POOR = np.where(DRAW.random(len(KEYS)) < 0.4, TRUTH, (TRUTH + 1) % 3)
WEIGHTS = np.stack([poisson_weights(1, key, 500) for key in KEYS]).astype(np.int64)  # (n 1+R)


def confusion(predicted: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
    counts = np.zeros((WEIGHTS.shape[1], 3, 3), dtype=np.int64)
    for truth, said, weights in zip(TRUTH, predicted, WEIGHTS, strict=True):
        counts[:, truth, said] += weights
    return counts


def test_a_difference_is_that_of_the_rows_resampled_together() -> None:
    found = compute_difference(
        [compute_metric_rows("accuracy", confusion(GOOD))], [compute_metric_rows("accuracy", confusion(POOR))]
    )
    right = (GOOD == TRUTH).astype(float) - (POOR == TRUTH)
    resampled = (right[:, None] * WEIGHTS).sum(0) / WEIGHTS.sum(0)
    low, high = np.percentile(resampled[1:], (2.5, 97.5))
    assert found.value == pytest.approx(right.mean())
    assert (found.low, found.high) == pytest.approx((low, high))
    assert is_significant(found)


def test_what_does_not_differ_is_not_told_apart() -> None:
    rows = compute_metric_rows("macro_recall", confusion(GOOD))
    assert compute_difference([rows], [rows]) == Estimate(0.0, None, None)
    assert not is_significant(compute_difference([rows], [rows]))


def test_more_seeds_do_not_narrow_what_the_lesions_leave_open() -> None:
    rows = compute_metric_rows("accuracy", confusion(GOOD))
    one, three = compute_estimate([rows]), compute_estimate([rows, rows, rows])
    assert three.as_cells == one.as_cells


def test_without_replicates_there_is_no_interval() -> None:
    found = compute_estimate([compute_metric_rows("accuracy", confusion(GOOD))[:1]])
    assert found.low is None
    assert not is_significant(found)


@pytest.mark.parametrize("right", [0, 7, 40])
def test_no_interval_of_an_accuracy_or_of_a_difference_has_zero_width(right: int) -> None:
    """Arms that agree on every lesion: all replicates of their difference are 0, and of a perfect accuracy 1."""
    weights = np.random.default_rng(3).poisson(1, (200, 40)).astype(float)
    hits = np.arange(40) < right
    rows = np.concatenate([[hits.mean()], (weights * hits).sum(1) / weights.sum(1)])
    one = compute_share([rows, rows], 40)
    assert (one.low, one.high) == pytest.approx(proportion_confint(right, 40, method="wilson"))
    assert one.low < one.high
    alike = compute_share_difference([rows], [rows], 40)
    assert (alike.value, alike.high) == (0.0, -alike.low)
    assert alike.high == pytest.approx(1.96 * np.sqrt(2 / 42) / np.sqrt(42), abs=1e-4)  # Bonett and Price
    assert compute_difference([rows], [rows]).low is None
    apart = compute_share_difference([np.ones(201)], [np.zeros(201)], 40)
    assert apart.low < apart.high
    assert apart.low > 0.8


@pytest.mark.parametrize(
    ("low", "high", "equivalent"),
    [(-0.02, 0.049, True), (-0.02, 0.051, False), (-0.051, 0.02, False), (0.01, 0.04, True), (None, None, False)],
)
def test_equivalence_asks_the_whole_interval_to_lie_within_the_margin(
    low: float | None, high: float | None, equivalent: bool
) -> None:
    assert is_equivalent(Estimate(0.015, low, high)) is equivalent


def test_a_finding_says_which_arms_are_as_good_and_which_are_not_told_apart() -> None:
    beside = {"pooled": Estimate(0.01, -0.02, 0.04), "alone": Estimate(0.03, -0.01, 0.07), "empty": None}
    assert describe_equivalence("federated", beside) == (
        " Equivalent to federated within ±0.05: pooled. Neither different nor shown to be within ±0.05: alone, empty."
    )
    assert describe_equivalence("federated", {}) == ""
