"""Oracle: statsmodels' logistic regression on the pooled rows."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm

from ceus_models.metrics.score_bins import CENTRES, compute_bins
from server.results.clinical.calibration_line import calibration_line
from server.results.replicates import Resampling


def rows_of(slope: float, intercept: float, n: int = 400) -> tuple[np.ndarray, np.ndarray]:
    """Lesions whose true log odds are intercept + slope · those that are stated."""
    rng = np.random.default_rng(3)
    stated = rng.normal(0, 1.5, n)
    positive = rng.random(n) < 1 / (1 + np.exp(-(intercept + slope * stated)))
    return positive.astype(float), 1 / (1 + np.exp(-stated))


def histogram(positive: np.ndarray, p: np.ndarray) -> np.ndarray:
    counts = np.zeros((2, 32))
    np.add.at(counts, (positive.astype(int), compute_bins(p)), 1)
    return counts


def log_odds(p: np.ndarray) -> np.ndarray:
    return np.log(p / (1 - p))


def test_slope_and_intercept_with_their_intervals_are_statsmodels() -> None:
    positive, p = rows_of(0.6, -0.4)
    found = calibration_line(histogram(positive, p), Resampling())
    binned = log_odds(CENTRES[compute_bins(p)])
    line = sm.GLM(positive, sm.add_constant(binned), sm.families.Binomial()).fit(cov_type="HC0")
    level = sm.GLM(positive, np.ones(len(p)), sm.families.Binomial(), offset=binned).fit(cov_type="HC0")
    for name, fitted in (("slope", line), ("intercept", level)):
        one = found[name]
        assert one["value"] == pytest.approx(fitted.params[-1], abs=1e-6)
        assert (one["low"], one["high"]) == pytest.approx(tuple(fitted.conf_int()[-1]), abs=1e-5)
        assert one["n"] == 400


def test_bins_move_the_line_by_little() -> None:
    positive, p = rows_of(1.0, 0.0)
    found = calibration_line(histogram(positive, p), Resampling())
    exact = sm.GLM(positive, sm.add_constant(log_odds(p)), sm.families.Binomial()).fit()
    assert found["slope"]["value"] == pytest.approx(exact.params[1], abs=0.03)
    assert found["slope"]["low"] < 1 < found["slope"]["high"]


def test_clusters_and_noise_widen_it() -> None:
    counts = histogram(*rows_of(0.8, 0.2))
    widths = []
    for sampling in (Resampling(), Resampling(design=1.44), Resampling(noise_sd=1.0)):
        one = calibration_line(counts, sampling)["slope"]
        widths.append(one["high"] - one["low"])
    assert widths[1] == pytest.approx(1.2 * widths[0])
    assert widths[2] > widths[0]


def test_there_is_no_line_where_none_can_be_drawn() -> None:
    separated, one_class, one_bin = np.zeros((3, 2, 32))
    separated[0, :10], separated[1, 20:] = 5, 5
    one_class[1] = 3
    one_bin[:, 12] = 9
    assert calibration_line(separated, Resampling())["slope"]["value"] is None
    assert calibration_line(one_class, Resampling())["intercept"]["value"] is None
    found = calibration_line(one_bin, Resampling())
    assert found["slope"]["value"] is None
    assert found["intercept"]["value"] is not None
