"""Bins are monotone, cover everything, and put edges where scikit-learn does."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.calibration import calibration_curve

from ceus_models.metrics.score_bins import BINS, CENTRES, EDGES, compute_bins, sum_deciles


def test_bins_are_monotone_and_cover_everything() -> None:
    p = np.concatenate([[0.0], np.sort(np.random.default_rng(0).random(1000)), [1.0]])
    bins = compute_bins(p)
    assert (np.diff(bins) >= 0).all()
    assert (bins[0], bins[-1]) == (0, 31)
    assert ((p > EDGES[bins]) | (bins == 0)).all()
    assert (p <= EDGES[bins + 1]).all()


def test_there_are_few_and_each_is_narrow() -> None:
    assert BINS == 32
    assert (np.diff(EDGES) > 0).all()
    assert np.diff(EDGES).max() == pytest.approx(0.05)
    assert np.array_equal(compute_bins(CENTRES), np.arange(BINS))
    np.testing.assert_allclose(EDGES, 1 - EDGES[::-1], atol=1e-12)


def test_tenths_are_whole_bins() -> None:
    p = np.random.default_rng(1).random(500)
    histogram = np.bincount(compute_bins(p), minlength=BINS)
    tenths = np.bincount(np.minimum((p * 10).astype(int), 9), minlength=10)
    assert sum_deciles(histogram).tolist() == tenths.tolist()
    assert sum_deciles(np.stack([histogram, 2 * histogram])).tolist() == [tenths.tolist(), (2 * tenths).tolist()]


@pytest.mark.parametrize("edge", [0.0, 0.1, 0.30000000000000004, 0.5, 0.7, 1.0])
def test_a_probability_on_an_edge_is_where_scikit_learn_puts_it(edge: float) -> None:
    p = np.array([edge, 0.05, 0.15, 0.35, 0.65, 0.95])
    for mark in range(len(p)):
        observed, _ = calibration_curve(np.arange(len(p)) == mark, p, n_bins=10)
        tenths = np.stack([sum_deciles(np.eye(BINS)[place]) for place in compute_bins(p)]).argmax(1)
        ours = [np.mean(np.arange(len(p))[tenths == b] == mark) for b in np.unique(tenths)]
        np.testing.assert_allclose(ours, observed)
