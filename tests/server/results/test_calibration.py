"""Shares of a reliability curve. Oracle: statsmodels' Wilson interval on the pooled rows."""

from __future__ import annotations

import numpy as np
import pytest
from statsmodels.stats.proportion import proportion_confint

from ceus_models.metrics.score_bins import compute_bins
from server.results.calibration import summarize_calibration
from server.results.replicates import Resampling


def draw_rows() -> tuple[np.ndarray, np.ndarray]:
    """Lesions of which one tenth of the probability holds no positive one."""
    rng = np.random.default_rng(4)
    p = rng.random(200) ** 2
    return (rng.random(200) < p) & (p > 0.1), p


def summarize(sampling: Resampling) -> dict[str, list[float]]:
    positive, p = draw_rows()
    counts = np.zeros((1, 1, 2, 32))
    np.add.at(counts[0, 0], (positive.astype(int), compute_bins(p)), 1)
    found: dict[str, list[float]] = summarize_calibration(counts, sampling)["calibration"]
    return found


@pytest.mark.parametrize("design", [1.0, 1.3])
def test_each_share_has_wilsons_interval_of_the_lesions_in_its_tenth(design: float) -> None:
    positive, p = draw_rows()
    found = summarize(Resampling(design=design))
    tenths = [np.ceil(p * 10 - 1e-12) == tenth + 1 for tenth in range(10)]
    inside = [positive[tenth] for tenth in tenths if tenth.any()]
    assert found["n"] == [len(one) for one in inside]
    for one, low, high in zip(inside, found["low"], found["high"], strict=True):
        expected = proportion_confint(one.sum() / design, len(one) / design, method="wilson")
        assert (low, high) == pytest.approx(expected)
        assert low < high
    assert found["observed"][0] == 0


def test_noise_widens_it_and_of_all_classes_together_there_is_none() -> None:
    quiet, noised = (summarize(Resampling(noise_sd=sd)) for sd in (0.0, 1.5))
    assert all(high > other for high, other in zip(noised["high"], quiet["high"], strict=True) if other < 1)
    scores = np.ones((1, 2, 2, 32))
    both = summarize_calibration(scores, Resampling(), ["a", "b"])["calibration"]
    assert "low" not in both["all"]
    assert len(both["classes"]["a"]["low"]) == len(both["classes"]["a"]["n"])
