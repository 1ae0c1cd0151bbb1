"""Key frames: even in time on both sides of the peak, and defined where a side, frames or time are missing."""

from __future__ import annotations

import numpy as np
import pytest

from client.data.analysis.keyframes import choose_key_frames, find_nearest, spread_evenly

SECONDS = np.arange(0, 100, 0.1)
FREE = np.zeros(len(SECONDS), dtype=bool)


def test_80_to_the_peak_and_20_after_it() -> None:
    chosen = choose_key_frames(SECONDS, 300, FREE, 80, 20)
    assert (len(chosen), chosen[0], chosen[79], chosen[-1]) == (100, 0, 300, 999)
    assert np.ptp(np.diff(SECONDS[chosen[:80]])) < 0.11
    assert np.ptp(np.diff(SECONDS[chosen[79:]])) < 0.11
    assert (np.diff(chosen) > 0).all()


def test_even_in_time_not_in_frames() -> None:
    """After a gap of 100 s, twenty even times fall on both of its edges and beyond it."""
    seconds = np.concatenate([np.arange(0, 60, 0.1), np.arange(160, 170, 0.1)])
    chosen = choose_key_frames(seconds, 200, np.zeros(len(seconds), dtype=bool), 80, 20)
    after = seconds[chosen[80:]]
    wanted = np.linspace(20, 169.9, 21)[1:]
    assert (np.abs(after - wanted) <= np.abs(seconds[:, None] - wanted).min(axis=0) + 1e-9).all()
    assert (after < 60).sum() == 12  # up to the middle of the gap


@pytest.mark.parametrize("peak", [None, 0, 5, len(SECONDS) - 6, len(SECONDS) - 1])
def test_a_side_without_time_gives_its_frames_away(peak: int | None) -> None:
    chosen = choose_key_frames(SECONDS, peak, FREE, 80, 20)
    assert (len(chosen), chosen[0], chosen[-1]) == (100, 0, 999)
    assert np.ptp(np.diff(chosen)) <= 1
    assert len(set(chosen)) == 100


@pytest.mark.parametrize("frames", [1, 2, 3, 10])
def test_few_frames_are_repeated_in_order(frames: int) -> None:
    for peak in (None, 0, frames // 2, frames - 1):
        chosen = choose_key_frames(np.arange(frames) * 0.5, peak, np.zeros(frames, dtype=bool), 80, 20)
        assert len(chosen) == 100
        assert set(chosen) == set(range(frames))
        assert (np.diff(chosen) >= 0).all()


def test_held_frames_give_way_to_near_ones_only() -> None:
    held = FREE.copy()
    held[100:104] = True  # 0.4 s, so a good frame is near
    held[500:700] = True  # 20 s, so none is near its middle
    chosen = choose_key_frames(SECONDS, 300, held, 80, 20)
    assert not set(chosen) & set(range(100, 104))
    assert [index for index in chosen if 530 < index < 670]
    assert (np.diff(chosen) >= 0).all()
    assert len(choose_key_frames(SECONDS, 300, ~FREE, 80, 20)) == 100


def test_nearest_takes_the_earlier_of_two() -> None:
    assert find_nearest(np.array([0.0, 1.0, 4.0]), np.array([-1.0, 0.5, 0.6, 2.5, 9.0])).tolist() == [0, 0, 1, 1, 2]


def test_evenly_reaches_both_ends() -> None:
    assert spread_evenly(11, 100).tolist() == [0, 10, 20, 30, 40, 50, 59, 69, 79, 89, 99]
    assert spread_evenly(3, 1).tolist() == [0, 0, 0]
