"""Replicates of counts, against the closed form and against a bootstrap of lesions."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from ceus_models.metrics.bootstrap import poisson_weights
from server.results import metrics
from server.results.replicates import Resampling


def test_a_replicate_of_a_count_is_poisson() -> None:
    counts = np.array([0, 1, 7, 160])
    drawn = Resampling(1, 20_000).draw("a", counts)
    assert drawn[0].tolist() == counts.tolist()
    np.testing.assert_allclose(drawn[1:].mean(0), counts, atol=0.3)
    np.testing.assert_allclose(drawn[1:].std(0), np.sqrt(counts), rtol=0.03)
    assert stats.kstest(drawn[1:, 2] + np.random.default_rng(0).random(20_000), _continued(7)).pvalue > 0.001
    assert abs(np.corrcoef(drawn[1:, 2], drawn[1:, 3])[0, 1]) < 0.03


def _continued(mean: float):  # type: ignore[no-untyped-def]
    """Distribution of a Poisson count plus a uniform number."""
    return lambda x: stats.poisson.cdf(np.floor(x) - 1, mean) + (x - np.floor(x)) * stats.poisson.pmf(np.floor(x), mean)


def test_the_same_study_draws_the_same_and_every_table_its_own() -> None:
    counts = np.full(50, 9)
    one = Resampling(1, 20)
    assert np.array_equal(one.draw("a", counts), one.draw("a", counts))
    assert not np.array_equal(one.draw("a", counts), one.draw("b", counts))
    assert not np.array_equal(one.draw("a", counts), Resampling(2, 20).draw("a", counts))
    assert np.array_equal(one.draw("a", counts), Resampling(1, 50).draw("a", counts)[:21])


def test_noise_is_drawn_anew_and_biases_nothing() -> None:
    counts = np.array([-4, 0, 30])
    drawn = Resampling(1, 20_000, noise_sd=3.0).draw("a", counts)
    assert drawn[0].tolist() == counts.tolist()
    np.testing.assert_allclose(drawn[1:].mean(0), counts, atol=0.15)
    np.testing.assert_allclose(drawn[1:].var(0), np.maximum(counts, 0) + 9, rtol=0.05)


def test_intervals_are_those_of_drawing_lesions() -> None:
    """The sums of the weights of 162 lesions, and the replicates of their confusion matrix, spread alike."""
    rng = np.random.default_rng(4)
    target = rng.integers(0, 6, 162)
    said = np.where(rng.random(162) < 0.8, target, rng.integers(0, 6, 162))
    weights = np.stack([poisson_weights(1, str(i), 4000) for i in range(162)])
    of_lesions = np.zeros((4001, 6, 6))
    for t, s, w in zip(target, said, weights, strict=True):
        of_lesions[:, t, s] += w
    of_counts = Resampling(1, 4000).draw("a", of_lesions[0].astype(np.int64))
    for metric in (metrics.accuracy, lambda c: metrics.macro(metrics.per_class(c)["recall"])):
        one, other = (np.percentile(metric(rows)[1:], (2.5, 97.5)) for rows in (of_lesions, of_counts))
        np.testing.assert_allclose(one, other, atol=0.01)
        assert metric(of_lesions)[1:].std() == pytest.approx(metric(of_counts)[1:].std(), rel=0.05)
