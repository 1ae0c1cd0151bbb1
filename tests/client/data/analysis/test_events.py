"""Flashes, frozen pictures and second arrivals, and what must not be taken for one."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from made_frames import frames_of

from client.data.analysis.events import find_flashes, find_repeated_frames, find_second_arrival
from client.data.imaging.frame_store import chain_frames

SECONDS = np.arange(0, 300, 0.5)
F64 = npt.NDArray[np.float64]


def bolus(start: float, decay: float = 100.0) -> F64:
    after = np.clip(SECONDS - start, 0, None)
    return np.asarray(12 + 120 * (1 - np.exp(-((after / 7) ** 2))) * np.exp(-after / decay))


def test_wash_in_and_a_gain_step_are_no_flashes() -> None:
    assert not find_flashes(bolus(10.0), SECONDS).any()
    assert not find_flashes(bolus(10.0) + 40 * (SECONDS > 60), SECONDS).any()
    assert not find_flashes(np.where(SECONDS > 9, 120.0, 10.0), SECONDS).any()
    out_of_the_plane = 35 * (SECONDS % 4 < 1)  # of a large dark lesion, beside which the liver is bright
    assert not find_flashes(bolus(10.0) + out_of_the_plane, SECONDS).any()


@pytest.mark.parametrize("length", [1, 3])
def test_a_burst_and_its_refill(length: int) -> None:
    levels = bolus(10.0)
    at = 100
    levels[at : at + length] += 60
    levels[at + length : at + length + 10] -= np.linspace(60, 2, 10)
    marked = np.flatnonzero(find_flashes(levels, SECONDS))
    assert marked[0] == at
    assert at + length + 6 <= marked[-1] < at + length + 10


def test_a_burst_that_destroys_nothing_is_marked_alone() -> None:
    levels = bolus(10.0)
    levels[100:102] += 60
    assert np.flatnonzero(find_flashes(levels, SECONDS)).tolist() == [100, 101]


def test_a_burst_in_the_dark_before_arrival() -> None:
    levels = bolus(60.0)
    levels[40:42] = 180
    assert np.flatnonzero(find_flashes(levels, SECONDS)).tolist() == [40, 41]


def test_a_second_bolus_is_seen_where_it_starts() -> None:
    found = find_second_arrival(np.maximum(bolus(10.0), bolus(200.0)), SECONDS)
    assert found == pytest.approx(200.0, abs=4)


@pytest.mark.parametrize(
    "levels",
    [
        bolus(10.0),
        bolus(10.0) + 30 * (SECONDS > 150),  # a gain knob
        bolus(10.0, 20.0) + 60 * np.clip((SECONDS - 100) / 150, 0, 1),  # too slow: a lesion that fills
        bolus(10.0) + 7 * np.sin(SECONDS * np.pi / 2),  # breathing
    ],
    ids=["one bolus", "gain", "slow", "breathing"],
)
def test_what_is_no_second_bolus(levels: F64) -> None:
    assert find_second_arrival(levels, SECONDS) is None


def test_a_brighter_later_clip_is_no_second_bolus() -> None:
    seconds = np.concatenate([np.arange(0, 60, 0.5), np.arange(120, 125, 0.5), np.arange(180, 185, 0.5)])
    levels = np.interp(seconds, SECONDS, bolus(10.0)) + 40 * (seconds > 150)
    assert find_second_arrival(levels, seconds) is None


def test_dark_pictures_repeat_without_being_frozen() -> None:
    draw = np.random.default_rng(0)
    lit = draw.integers(60, 90, (4, 20, 20), dtype=np.uint8)
    lit[2] = lit[1]
    dark = np.zeros_like(lit)
    none = chain_frames([])
    assert find_repeated_frames(frames_of(lit), none).tolist() == [False, False, True, False]
    assert not find_repeated_frames(frames_of(dark), none).any()
    assert find_repeated_frames(frames_of(dark), frames_of(lit)).tolist() == [False, False, True, False]


@pytest.mark.parametrize("row", [0, 20, 39])
def test_a_picture_that_differs_anywhere_is_no_repetition(row: int) -> None:
    """Also where the rows that are looked at first, those in the middle, are the same."""
    lit = np.full((3, 40, 40), 80, dtype=np.uint8)
    lit[1, row] += 20  # 0.5 levels on the mean
    assert not find_repeated_frames(frames_of(lit), chain_frames([])).any()
    lit[1, row] -= 12
    assert find_repeated_frames(frames_of(lit), chain_frames([])).tolist() == [False, True, True]
