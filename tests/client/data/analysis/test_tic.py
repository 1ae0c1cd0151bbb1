"""The time-intensity curve against curves and areas known in closed form."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from made_clips import to_levels

from client.data.analysis import tic

SECONDS = np.arange(0, 60, 0.1)
NOTHING_HELD = np.zeros(len(SECONDS), dtype=bool)
F64 = npt.NDArray[np.float64]
PEAK_S = 10 + 12 * np.exp(-0.55 * np.sqrt(2 * np.log(10) * tic.PEAK_DB / 10))
"""Where `lognormal` first comes within PEAK_DB of its maximum."""


def lognormal(seconds: F64, arrival: float = 10.0, mode: float = 12.0) -> F64:
    """Peak 1 at arrival + mode."""
    after = np.clip(seconds - arrival, 1e-6, None)
    return np.exp(-0.5 * (np.log(after / mode) / 0.55) ** 2)


def test_speckle_is_linearised_before_it_is_averaged() -> None:
    draw = np.random.default_rng(0)
    frames = to_levels(draw.exponential(1e-3, (20, 120, 120)))
    square = np.array([[10.0, 10.0], [100.0, 10.0], [100.0, 100.0], [10.0, 100.0]])
    still = np.zeros((20, 2), dtype=np.float32)
    linear = tic.compute_roi_means(frames, square, still, tic.build_linear_table(60.0, True)).mean()
    raw = tic.compute_roi_means(frames, square, still, tic.build_linear_table(60.0, False)).mean()
    assert 10 * np.log10(linear) - 60 == pytest.approx(-30.0, abs=0.1)
    assert raw * 60 - 60 == pytest.approx(-32.5, abs=0.2)  # averaging decibels reads 2.51 dB low


def test_what_lies_on_the_outline_counts_least() -> None:
    """An outline a fifth too large takes in a third of other tissue; of the mean, that is a tenth."""
    square = np.array([[20.0, 20.0], [80.0, 20.0], [80.0, 80.0], [20.0, 80.0]])
    frame = np.zeros((100, 100), dtype=np.uint8)
    frame[25:76, 25:76] = 255  # the lesion, five sixths as wide
    still = np.zeros((1, 2), dtype=np.float32)
    inner = tic.compute_roi_means([frame], square, still, tic.build_linear_table(60.0, False))[0]
    assert (frame[20:81, 20:81] == 0).mean() == pytest.approx(0.3, abs=0.01)
    assert inner > 0.9
    weights, low = tic.build_soft_mask(square)
    assert (weights.max(), weights[0].max()) == (1.0, 0.0)
    assert np.unravel_index(int(weights.argmax()), weights.shape) == tuple(50 - low)


def test_the_mean_is_that_of_the_outline_where_the_lesion_went() -> None:
    frames = np.zeros((3, 40, 40), dtype=np.uint8)
    shift = np.array([[0, 0], [7, -3], [-15, 0]], dtype=np.float32)
    for frame, (x, y) in zip(frames, shift.astype(int), strict=True):
        frame[10 + y : 21 + y, max(0, 12 + x) : 23 + x] = 255
    square = np.array([[12.0, 10.0], [22.0, 10.0], [22.0, 20.0], [12.0, 20.0]])
    means = tic.compute_roi_means(frames, square, shift, tic.build_linear_table(60.0, False))
    assert means == pytest.approx([1.0, 1.0, 1.0])  # the margin is not in it; nor is what left the pane
    gone = tic.compute_roi_means(frames, square, shift + 100, tic.build_linear_table(60.0, False))
    assert np.isnan(gone).all()


@pytest.mark.parametrize("seed", range(3))
def test_the_peak_of_a_noisy_curve_is_within_a_second(seed: int) -> None:
    draw = np.random.default_rng(seed)
    values = lognormal(SECONDS) * draw.normal(1, 0.06, len(SECONDS)) + 0.01
    curve = tic.build_curve(values, SECONDS, NOTHING_HELD, 2.0)
    assert SECONDS[curve.peak] == pytest.approx(PEAK_S, abs=1.0)
    assert curve.enhances


def test_smoothing_keeps_a_line_to_its_ends_at_irregular_times() -> None:
    draw = np.random.default_rng(1)
    seconds = np.cumsum(draw.uniform(0.03, 0.4, 200))
    seconds[120:] += 40  # a gap
    line = 3.0 + 0.5 * seconds
    assert tic.smooth(line, seconds, 2.0) == pytest.approx(line)
    noise = draw.normal(0, 1, 200)
    assert tic.smooth(line + noise, seconds, 2.0)[20:100].std() == pytest.approx(line[20:100].std(), rel=0.1)
    assert tic.smooth(noise, seconds, 2.0).std() < 0.5


def test_frames_out_of_the_plane_do_not_bend_the_curve() -> None:
    clean = lognormal(SECONDS)
    outside = (SECONDS > 35) & (SECONDS < 38) | (SECONDS > 58)
    values = np.where(outside, 5.0, clean)
    curve = tic.build_curve(values, SECONDS, outside, 2.0)
    assert SECONDS[curve.peak] == pytest.approx(PEAK_S, abs=0.3)
    assert np.abs(curve.smoothed - clean).max() < 0.05
    raw = tic.smooth(values, SECONDS, 2.0)
    assert SECONDS[tic.find_first_peak(raw)] > 35  # what bridging prevents


def test_frames_that_nothing_holds_but_their_neighbours_are_left_out() -> None:
    """A contrast-only clip whose lesion leaves the plane for a second in every breath of four."""
    clean = lognormal(SECONDS)
    values = np.where(SECONDS % 4 < 0.9, 0.2, 1.0) * clean
    curve = tic.build_curve(values, SECONDS, NOTHING_HELD, 4.0)
    assert SECONDS[curve.peak] == pytest.approx(PEAK_S, abs=0.6)
    assert np.abs(curve.smoothed - clean).max() < 0.1
    assert np.abs(tic.smooth(values, SECONDS, 4.0) - clean).max() > 0.15


def test_of_two_humps_of_one_height_the_first_is_the_peak() -> None:
    """The maximum itself would fall on either by chance."""
    humps = np.exp(-(((SECONDS - 20) / 6) ** 2)) + np.exp(-(((SECONDS - 45) / 8) ** 2))
    found = {tic.find_first_peak(humps * (1 + tilt * SECONDS)) for tilt in (-5e-4, 0.0, 5e-4)}
    assert max(found) - min(found) <= 5
    assert SECONDS[max(found)] == pytest.approx(18.0, abs=0.5)
    assert np.argmax(humps * (1 - 5e-4 * SECONDS)) != np.argmax(humps * (1 + 5e-4 * SECONDS))


def test_a_small_hump_before_a_large_one_is_not_the_peak() -> None:
    for share, peak in ((0.3, 45.0), (0.8, 20.0)):
        humps = share * np.exp(-(((SECONDS - 20) / 6) ** 2)) + np.exp(-(((SECONDS - 45) / 8) ** 2))
        assert SECONDS[tic.find_first_peak(humps)] == pytest.approx(peak, abs=3.0)


def test_with_most_frames_held_values_are_taken_as_they_are() -> None:
    outside = SECONDS > 12
    curve = tic.build_curve(lognormal(SECONDS), SECONDS, outside, 2.0)
    assert SECONDS[curve.peak] == pytest.approx(PEAK_S, abs=0.5)


def test_a_curve_that_still_rises_peaks_near_its_last_frame() -> None:
    curve = tic.build_curve(np.clip(SECONDS - 10, 0, None), SECONDS, NOTHING_HELD, 2.0)
    assert curve.enhances
    assert SECONDS[curve.peak] == pytest.approx(10 + 49.9 * 10**-0.05, abs=0.6)
    found = tic.compute_parameters(curve, SECONDS)
    assert found["PE"] == pytest.approx(49.9, rel=0.02)
    last = tic.Tic(curve.values, curve.smoothed, len(SECONDS) - 1, True)
    assert not {"WoAUC", "WoR", "FT"} & set(tic.compute_parameters(last, SECONDS))


@pytest.mark.parametrize("level", [0.0, 1.0, np.nan])
def test_a_dark_or_constant_curve_has_no_peak(level: float) -> None:
    curve = tic.build_curve(np.full(len(SECONDS), level), SECONDS, NOTHING_HELD, 2.0)
    assert not curve.enhances
    assert np.isfinite(curve.smoothed).all()
    assert set(tic.compute_parameters(curve, SECONDS)) == {"peak_s"}


def test_parameters_of_a_triangle_in_closed_form() -> None:
    """Rise of 10 from 10 s to 20 s, fall to 0 at 60 s, base 2: every parameter follows from the corners."""
    seconds = np.arange(0, 70, 0.1)
    values = 2.0 + np.interp(seconds, [10, 20, 60], [0, 10, 0])
    curve = tic.Tic(values, values, int(np.argmax(values)), True)
    found = tic.compute_parameters(curve, seconds)
    expected = {
        "base": 2.0,
        "PE": 10.0,
        "PE_dB": 10 * np.log10(6),
        "t0": 10.5,  # 5 % of the rise
        "peak_s": 20.0,
        "TTP": 9.5,
        "RT": 10.0,
        "WiR": 1.0,
        "WiAUC": 50.0 - 0.125,
        "WiPI": 4.9875,
        "FT": 40.0,
        "WoR": 0.25,
        "WoAUC": 200.0,
    }
    assert {name: found[name] for name in expected} == pytest.approx(expected, rel=0.01)
    assert found["mTT"] == pytest.approx((50 * (10 + 20 / 3) + 200 * (20 + 40 / 3)) / 250 - 10.5, rel=0.01)


def test_slopes_are_of_chords_and_a_clip_that_is_too_short_for_one_has_none() -> None:
    """A step up of 3 within a second, then 60 s down by 6: over 3 s, and over 40 s."""
    seconds = np.arange(0, 90, 0.1)
    values = np.interp(seconds, [10, 11, 20, 20.5, 80], [0, 3, 3, 6, 0])
    found = tic.compute_parameters(tic.Tic(values, values, int(np.argmax(values)), True), seconds)
    assert (found["WiR"], found["WoR"]) == pytest.approx((1.0, 6 / 59.5), rel=0.01)
    short = seconds <= 60.0
    cut = tic.compute_parameters(tic.Tic(values[short], values[short], int(np.argmax(values)), True), seconds[short])
    assert {"WoAUC", "WiR", "RT"} <= set(cut)
    assert not {"WoR", "FT"} & set(cut)


def test_parameters_are_measured_to_the_steady_peak_and_key_frames_keep_theirs() -> None:
    values = 2.0 + np.interp(SECONDS, [10, 20, 60], [0, 10, 0])
    noisy = tic.Tic(values, values, 150, True, int(np.argmax(values)))
    found = tic.compute_parameters(noisy, SECONDS)
    assert (found["peak_s"], found["TTP"], found["RT"]) == pytest.approx((15.0, 9.5, 10.0))
    draw = np.random.default_rng(4)
    steady = []
    for _ in range(20):
        curve = tic.build_curve(lognormal(SECONDS) * draw.normal(1, 0.2, len(SECONDS)), SECONDS, NOTHING_HELD, 2.0)
        assert curve.peak == tic.find_first_peak(curve.smoothed)
        assert curve.steady_peak is not None
        steady.append((SECONDS[curve.peak], SECONDS[curve.steady_peak]))
    assert np.std(steady, axis=0)[1] < np.std(steady, axis=0)[0]


def test_a_clip_that_starts_at_the_peak_has_only_its_time() -> None:
    falling = np.exp(-SECONDS / 20)
    curve = tic.build_curve(falling, SECONDS, NOTHING_HELD, 2.0)
    assert curve.peak == 0
    assert tic.compute_parameters(curve, SECONDS) == {"peak_s": 0.0}
