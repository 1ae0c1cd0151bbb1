"""Losses of a histogram, against scikit-learn on rows."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as sk

from ceus_models.metrics.binned_loss import bound_brier_error, sum_brier, sum_log_loss
from ceus_models.metrics.score_bins import BINS, CENTRES, compute_bins

RNG = np.random.default_rng(0)


def histogram(p: np.ndarray, target: np.ndarray) -> np.ndarray:
    """(k 2 32) of probabilities (n k)."""
    k = p.shape[1]
    out = np.zeros((k, 2, BINS))
    for c in range(k):
        np.add.at(out[c], ((target == (c if k > 1 else 1)).astype(int), compute_bins(p[:, c])), 1)
    return out


def test_log_loss_of_bin_centres_is_scikit_learns() -> None:
    target = RNG.integers(0, 2, 300)
    p = 1 / (1 + np.exp(-RNG.normal(size=300) - target))
    loss, weight = sum_log_loss(histogram(p[:, None], target), (0.5, 2.0))
    by_lesion = np.where(target, 2.0, 0.5)
    assert weight == pytest.approx(by_lesion.sum())
    binned = CENTRES[compute_bins(p)]
    assert loss / weight == pytest.approx(sk.log_loss(target, binned, sample_weight=by_lesion), rel=1e-12)
    assert loss / weight == pytest.approx(sk.log_loss(target, p, sample_weight=by_lesion), abs=0.01)


def test_log_loss_of_a_classifier_is_that_of_its_true_classes() -> None:
    target = RNG.integers(0, 3, 400)
    logits = RNG.normal(size=(400, 3))
    logits[np.arange(400), target] += 1
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    loss, weight = sum_log_loss(histogram(p, target), (1.0, 2.0, 3.0))
    by_lesion = np.array([1.0, 2.0, 3.0])[target]
    assert weight == by_lesion.sum()
    assert loss / weight == pytest.approx(sk.log_loss(target, p, sample_weight=by_lesion), abs=0.01)


def test_brier_is_within_its_bound() -> None:
    target = RNG.integers(0, 2, 300)
    p = 1 / (1 + np.exp(-2 * RNG.normal(size=300) - target))
    scores = histogram(p[:, None], target)
    truth = 300 * sk.brier_score_loss(target, p)
    assert abs(float(sum_brier(scores)) - truth) <= bound_brier_error(scores)
    assert abs(float(sum_brier(scores)) - truth) < 0.5
    assert bound_brier_error(scores) / 300 < 0.05
    assert sum_brier(np.stack([scores, 2 * scores])).tolist() == [
        float(sum_brier(scores)),
        2 * float(sum_brier(scores)),
    ]


def test_noise_below_zero_takes_nothing_off_a_loss() -> None:
    scores = np.zeros((1, 2, BINS))
    scores[0, 1, 20] = 5
    clean = sum_log_loss(scores, (1.0, 1.0))
    scores[0, 0, 3] = -4
    assert sum_log_loss(scores, (1.0, 1.0)) == clean
