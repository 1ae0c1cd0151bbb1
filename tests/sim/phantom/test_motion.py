from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from sim.phantom import motion

SECONDS = np.arange(0.0, 120.0, 0.1)


def _breathing(seed: int = 0, **changes: float) -> motion.Breathing:
    drawn = motion.draw_breathing(11.9, 0.0, np.random.default_rng(seed))
    return dataclasses.replace(drawn, cough_s=float("nan"), **changes)


def test_amplitudes_and_periods_match_the_published_range() -> None:
    rng = np.random.default_rng(0)
    drawn = [motion.draw_breathing(11.9, 0.35, rng) for _ in range(400)]
    amplitudes = np.array([d.amplitude_mm for d in drawn])
    assert np.median(amplitudes) == pytest.approx(11.9, abs=0.8)
    assert amplitudes.min() >= 5.1
    assert amplitudes.max() <= 17.3
    assert all(3 <= d.period_s <= 5 for d in drawn)
    leaving = [d.out_of_plane for d in drawn if d.out_of_plane]
    assert len(leaving) / 400 == pytest.approx(0.35, abs=0.07)
    assert min(leaving) >= 0.10
    assert max(leaving) <= 0.30


def test_breathing_rests_at_end_expiration() -> None:
    breathing = _breathing(amplitude_mm=12.0, period_s=4.0)
    depth = motion.draw_breaths(SECONDS, breathing, np.random.default_rng(1))
    assert depth.min() >= 0
    assert (depth < 0.25 * 12).mean() > 0.5  # about 60 % of the cycle lies near end-expiration
    peaks = (depth[1:-1] > depth[:-2]) & (depth[1:-1] >= depth[2:]) & (depth[1:-1] > 3)
    assert peaks.sum() == pytest.approx(120 / 4, abs=4)
    assert depth[1:-1][peaks].mean() == pytest.approx(12.0, rel=0.15)


def test_only_the_part_in_the_plane_is_seen() -> None:
    frontal = _breathing(plane_angle=0.0, drift_mm=0.0, direction=0.0)
    oblique = dataclasses.replace(frontal, plane_angle=np.pi / 3)
    full = motion.draw_trace(SECONDS, frontal, np.random.default_rng(5)).shift_mm
    half = motion.draw_trace(SECONDS, oblique, np.random.default_rng(5)).shift_mm
    assert np.ptp(half[:, 0]) == pytest.approx(np.ptp(full[:, 0]) / 2)
    assert np.ptp(full[:, 1]) == pytest.approx(0, abs=1e-9)


def test_share_of_frames_out_of_the_plane() -> None:
    leaving = motion.draw_trace(SECONDS, _breathing(out_of_plane=0.2), np.random.default_rng(2))
    assert (leaving.out > 0.5).mean() == pytest.approx(0.2, abs=0.03)
    assert motion.draw_trace(SECONDS, _breathing(), np.random.default_rng(2)).out.max() == 0


def test_a_cough_jumps_and_settles() -> None:
    quiet = _breathing(drift_mm=0.0)
    coughing = dataclasses.replace(quiet, cough_s=40.0, cough_mm=8.0)
    a, b = (motion.draw_trace(SECONDS, x, np.random.default_rng(6)).shift_mm for x in (quiet, coughing))
    apart = np.linalg.norm((b - np.median(b - a, axis=0)) - a, axis=1)
    assert apart[SECONDS < 39.9].max() < 0.1
    assert apart[np.searchsorted(SECONDS, 40.05)] == pytest.approx(8.0, rel=0.1)
    assert apart[SECONDS > 50].max() < 0.1


def test_a_drifting_probe_is_brought_back() -> None:
    long = np.arange(0.0, 2000.0, 0.5)
    walk = motion.draw_drift(long, 0.3, np.random.default_rng(0))
    assert walk[0] == pytest.approx(0)
    assert walk.std() == pytest.approx(0.3 * np.sqrt(motion.RECALL_S / 2), rel=0.3)


def test_full_motion_is_at_the_limit_of_what_is_seen() -> None:
    rng = np.random.default_rng(0)
    drawn = [motion.draw_full_motion(_breathing(seed), rng) for seed in range(200)]
    amplitudes = [d.amplitude_mm for d in drawn]
    assert 8 <= min(amplitudes) < 9
    assert 24 < max(amplitudes) <= 25
    assert all(0.3 <= d.drift_mm <= 1.0 and 0.1 <= d.out_of_plane <= 0.3 for d in drawn)
    assert all(10 <= d.cough_s <= 60 and d.cough_mm >= 4 for d in drawn)
    assert drawn[0].period_s == _breathing(0).period_s
