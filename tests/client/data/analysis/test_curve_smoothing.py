"""The smooth course of a bolus: bias where it is sharp, noise where it is slow, and frames that do not belong to it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from scipy.interpolate import make_smoothing_spline

from client.data.analysis.curve_smoothing import fit_course, fit_spline

F64 = npt.NDArray[np.float64]
SECONDS = np.arange(0, 120, 0.2)


def bolus(seconds: F64) -> F64:
    """A lognormal wash-in and a slow second supply; arrival at 12 s."""
    after = np.clip(seconds - 12, 1e-6, None)
    return np.asarray(np.exp(-0.5 * (np.log(after / 9) / 0.55) ** 2) + 0.6 * (1 - np.exp(-((after / 25) ** 2))))


def speckled(clean: F64, seed: int, sd: float = 0.15) -> F64:
    """Multiplicative noise that lasts from frame to frame, as speckle does."""
    draw = np.random.default_rng(seed)
    noise = draw.normal(0, 1, len(clean))
    for index in range(1, len(noise)):
        noise[index] = 0.7 * noise[index - 1] + np.sqrt(1 - 0.7**2) * noise[index]
    return np.asarray(clean * np.exp(sd * noise))


@pytest.mark.parametrize(
    ("frames", "per_second", "penalty"), [(3, 1.0, 1.0), (5, 1.0, 1e-3), (100, 1.5, 40.0), (900, 10, 5)]
)
def test_the_spline_is_the_one_that_scipy_finds(frames: int, per_second: float, penalty: float) -> None:
    draw = np.random.default_rng(frames)
    x = 5 * np.log1p((np.arange(frames) + draw.uniform(0, 0.2, frames)) / per_second / 5)
    y, weights = draw.normal(1, 0.2, frames), draw.random(frames) ** 3 + 1e-3
    found = fit_spline(x, y, weights, penalty)
    assert float((weights * (found - y)).sum()) == pytest.approx(0.0, abs=1e-6)
    assert float((weights * (found - y) * x).sum()) == pytest.approx(0.0, abs=1e-5)  # neither level nor slope is bent
    if frames >= 5:  # scipy's least
        np.testing.assert_allclose(found, make_smoothing_spline(x, y, w=weights, lam=penalty)(x), atol=1e-5)


def test_a_clean_curve_stays_what_it_is() -> None:
    clean = bolus(SECONDS)
    assert np.abs(fit_course(clean, SECONDS, 12.0, 2.0) - clean).max() < 0.03 * clean.max()


@pytest.mark.parametrize("seed", range(4))
def test_the_older_the_bolus_the_less_noise_is_left(seed: int) -> None:
    clean = bolus(SECONDS)
    off = np.abs(fit_course(speckled(clean, seed), SECONDS, 12.0, 2.0) / clean.clip(0.05) - 1)
    assert off[(SECONDS > 17) & (SECONDS < 40)].mean() < 0.06
    assert off[SECONDS > 60].mean() < 0.04


def test_the_unit_of_smoothing_is_time_not_frames() -> None:
    clean = bolus(SECONDS)
    dense = np.arange(0, 120, 0.05)
    few, many = fit_course(clean, SECONDS, 12.0, 4.0), fit_course(bolus(dense), dense, 12.0, 4.0)
    assert np.abs(few - np.interp(SECONDS, dense, many)).max() < 0.02


def test_frames_of_other_tissue_lose_their_weight() -> None:
    """A lesion that is dark for 0.8 s in every breath of four."""
    clean = bolus(SECONDS)
    values = np.where(SECONDS % 4 < 0.8, 0.3, 1.0) * speckled(clean, 1, 0.05)
    later = SECONDS > 17
    assert np.abs(fit_course(values, SECONDS, 12.0, 2.0) / clean.clip(0.05) - 1)[later].max() < 0.12
    raw = np.convolve(values, np.full(10, 0.1), mode="same")
    assert np.abs(raw / clean.clip(0.05) - 1)[later].mean() > 0.13


@pytest.mark.parametrize("count", [1, 2, 4, 5, 6])
def test_few_frames_and_dark_ones_have_a_course(count: int) -> None:
    seconds = np.arange(count) * 0.5
    for values in (np.zeros(count), np.full(count, 3.0), np.arange(count, dtype=np.float64)):
        assert fit_course(values, seconds, 0.0, 2.0) == pytest.approx(values, abs=0.2 * max(values.max(), 1.0))


def test_gaps_between_clips_are_crossed() -> None:
    seconds = np.concatenate([np.arange(0, 60, 0.2), np.arange(90, 95, 0.2), np.arange(180, 185, 0.2)])
    clean = bolus(seconds)
    off = np.abs(fit_course(speckled(clean, 2), seconds, 12.0, 2.0) / clean.clip(0.05) - 1)
    assert off[seconds > 80].max() < 0.15
