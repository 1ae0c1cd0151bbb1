"""Speckle against what was measured on a real clip: lags 0.70, 0.56, 0.46; width 1.4 % of the pane."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from sim.phantom import speckle

FRAMES = 30


def _pattern(side: int) -> np.ndarray:
    """High-pass pattern (t h w) of the displayed plateau, contrast 1 everywhere."""
    rng = np.random.default_rng(1)
    spread = speckle.measure_spread((side, side), 12)
    shape = (side + 24, side + 24)
    places = speckle.draw_bubble_places(shape, rng)
    per_pixel = 12 / spread.cell_px
    root = np.sqrt(speckle.compute_bubble_power(np.ones(shape, np.float32), places, per_pixel))
    weights = spread.weights((0.0, 0.0))
    fields = islice(speckle.draw_flowing_fields(shape, speckle.MEASURED_FLOW, rng), FRAMES)
    shown = np.stack([10 * np.log10(speckle.intensity(f * root, weights) + 1e-4) for f in fields])
    smooth = np.stack([gaussian_filter(f, (4 * spread.along, 4 * spread.across[-1])) for f in shown])
    return np.asarray((shown - smooth)[:, 8:-8, 8:-8])


@pytest.fixture(scope="module", params=[100, 240])
def pattern(request: pytest.FixtureRequest) -> np.ndarray:
    return _pattern(request.param)


@pytest.mark.parametrize(("lag", "measured"), [(1, 0.70), (2, 0.56), (3, 0.46)])
def test_pattern_refreshes_as_measured(pattern: np.ndarray, lag: int, measured: float) -> None:
    pairs = [(pattern[i].ravel(), pattern[i + lag].ravel()) for i in range(FRAMES - lag)]
    found = np.mean([np.corrcoef(a, b)[0, 1] for a, b in pairs])
    assert found == pytest.approx(measured, abs=0.05)


def _measure_width(pattern: np.ndarray, axis: int) -> float:
    """Width in px at half height of the autocorrelation along an axis of (t h w)."""
    length, energy = pattern.shape[axis], (pattern**2).mean()
    lags = []
    for lag in range(8):
        first, second = (pattern.take(range(a, b), axis) for a, b in ((0, length - lag), (lag, length)))
        lags.append((first * second).mean() / energy)
    return 2 * float(np.interp(0.5, lags[::-1], np.arange(8)[::-1]))


def test_width_of_the_pattern(pattern: np.ndarray) -> None:
    pane, third = pattern.shape[2] + 16, pattern.shape[1] // 6
    near, far = pattern[:, :third], pattern[:, -third:]
    for part in (near, far):  # along the beam it is the same at all depths
        assert _measure_width(part, 1) == pytest.approx(max(0.010 * pane, 1.6), rel=0.15)
    low, high = (max(share * pane, 1.6) for share in (0.012, 0.026))
    assert _measure_width(near, 2) == pytest.approx(low + (high - low) / 10, rel=0.12)
    assert _measure_width(far, 2) == pytest.approx(high - (high - low) / 10, rel=0.12)
    # with both axes and all depths together it is that of a real contrast clip
    mean = np.sqrt(_measure_width(pattern, 1) * _measure_width(pattern, 2))
    assert mean == pytest.approx(max(0.014 * pane, 1.6), rel=0.15)


def test_power_survives_blur_and_shift() -> None:
    rng = np.random.default_rng(2)
    spread = speckle.PointSpread((90, 90), 8, 1.0, (1.0, 1.6))
    field = speckle.draw_complex_field((106, 106), rng)
    for shift in ((0.0, 0.0), (0.5, -0.25), (3.3, 2.7)):
        assert speckle.intensity(field, spread.weights(shift)).mean() == pytest.approx(1.0, abs=0.06)


def test_a_shift_moves_the_picture() -> None:
    rng = np.random.default_rng(3)
    spread = speckle.PointSpread((64, 64), 10, 1.2, (1.2,))
    field = speckle.draw_complex_field((84, 84), rng)
    still = speckle.intensity(field, spread.weights((0.0, 0.0)))
    moved = speckle.intensity(field, spread.weights((3.0, -2.0)))  # right and up
    assert moved[10:50, 10:50] == pytest.approx(still[12:52, 7:47], abs=1e-3)


def test_few_bubbles_are_dots_and_many_are_speckle() -> None:
    rng = np.random.default_rng(4)
    places = speckle.draw_bubble_places((200, 200), rng)
    for power in (0.02, 0.2, 1.0, 2.0):
        found = speckle.compute_bubble_power(np.full((200, 200), power, np.float32), places, 1.2)
        assert found.mean() == pytest.approx(power, rel=0.08)
    few = speckle.compute_bubble_power(np.full((200, 200), 0.05, np.float32), places, 1.2)
    assert (few == 0).mean() == pytest.approx(np.exp(-0.06), abs=0.01)  # Poisson
    many = speckle.compute_bubble_power(np.full((200, 200), 4.0, np.float32), places, 1.2)
    assert many == pytest.approx(4.0)
