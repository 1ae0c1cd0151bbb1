"""Intervals and differences from sums, against a bootstrap over rows."""

from __future__ import annotations

import numpy as np
import pytest

from ceus_models.metrics.bootstrap import poisson_weights
from sim.experiments.paired import Value, difference, rows_of, told_apart, valued

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
    found = difference([rows_of("accuracy", confusion(GOOD))], [rows_of("accuracy", confusion(POOR))])
    right = (GOOD == TRUTH).astype(float) - (POOR == TRUTH)
    resampled = (right[:, None] * WEIGHTS).sum(0) / WEIGHTS.sum(0)
    low, high = np.percentile(resampled[1:], (2.5, 97.5))
    assert found.value == pytest.approx(right.mean())
    assert (found.low, found.high) == pytest.approx((low, high))
    assert told_apart(found)


def test_what_does_not_differ_is_not_told_apart() -> None:
    rows = rows_of("macro_recall", confusion(GOOD))
    assert difference([rows], [rows]) == Value(0.0, 0.0, 0.0)
    assert not told_apart(difference([rows], [rows]))


def test_more_seeds_do_not_narrow_what_the_lesions_leave_open() -> None:
    rows = rows_of("accuracy", confusion(GOOD))
    one, three = valued([rows]), valued([rows, rows, rows])
    assert three.plain == one.plain


def test_without_replicates_there_is_no_interval() -> None:
    found = valued([rows_of("accuracy", confusion(GOOD))[:1]])
    assert found.low is None
    assert not told_apart(found)
