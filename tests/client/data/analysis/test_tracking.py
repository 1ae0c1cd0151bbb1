"""Tracking on synthetic speckle whose motion is known, and on frames that show nothing."""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt
import pytest
from made_clips import Speckle, speckle_clip

from ceus_models.study.processing import Processing
from client.data.analysis.pipeline import box_around
from client.data.analysis.tracking import BMODE, CONTRAST, Track, track_box

SETTINGS = Processing(margin_px=8.0)


@cache
def clip(seed: int) -> Speckle:
    return speckle_clip(seed)


def followed(made: Speckle, frames: npt.NDArray[np.uint8], method: str) -> Track:
    return track_box(frames, made.reference, box_around(made.polygon, SETTINGS.margin_px), method, SETTINGS)


def errors(made: Speckle, track: Track) -> npt.NDArray[np.float64]:
    return np.hypot(*(track.shift - made.shift).T)


@pytest.mark.parametrize("seed", [1, 2])
def test_the_bmode_pane_is_followed_below_half_a_pixel(seed: int) -> None:
    made = clip(seed)
    track = followed(made, made.bmode, BMODE)
    assert np.abs(made.shift).max() > 5
    assert errors(made, track).mean() < 0.2
    assert errors(made, track).max() < 0.6
    assert not track.held.any()
    assert (track.shift[made.reference] == 0).all()


@pytest.mark.parametrize("seed", [1, 2])
def test_the_contrast_pane_is_followed_only_by_its_own_method(seed: int) -> None:
    made = clip(seed)
    enhanced = made.seconds > 18
    own = errors(made, followed(made, made.contrast, CONTRAST))
    template = errors(made, followed(made, made.contrast, BMODE))
    still = np.hypot(*made.shift.T)
    assert own[enhanced].mean() < 1.0
    assert own[enhanced].mean() < 0.5 * min(template[enhanced].mean(), still[enhanced].mean())


def test_frames_out_of_the_plane_are_held_and_do_not_move_the_box() -> None:
    made = clip(1)
    frames = made.bmode.copy()
    away = slice(made.reference + 20, made.reference + 27)
    frames[away] = speckle_clip(99, frames=7).bmode
    track = followed(made, frames, BMODE)
    assert np.flatnonzero(track.held).tolist() == list(range(away.start, away.stop))
    assert (track.shift[away] == track.shift[away.start - 1]).all()
    assert (track.correlation[away] < SETTINGS.correlation_gate).all()
    assert errors(made, track)[away.stop :].max() < 0.6


def test_a_black_clip_is_held_everywhere() -> None:
    for method in (BMODE, CONTRAST):
        frames = np.zeros((5, 60, 60), np.uint8)
        for reference in (frames[0], clip(1).bmode[0, :60, :60]):
            frames[2] = reference
            track = track_box(frames, 2, (10, 10, 40, 40), method, SETTINGS)
            assert track.held.tolist() == [True, True, False, True, True]
            assert (track.shift == 0).all()


@pytest.mark.parametrize("box", [(-20, -30, 60, 70), (-8, 60, 50, 200), (-50, -50, 300, 300), (1, 1, 6, 6)])
def test_boxes_that_reach_outside_the_pane_are_followed(box: tuple[int, int, int, int]) -> None:
    made = clip(2)
    track = track_box(made.bmode, made.reference, box, BMODE, SETTINGS)
    assert np.median(errors(made, track)) < 0.5


def test_a_large_box_is_searched_at_lower_resolution_with_sub_pixel_error() -> None:
    made = speckle_clip(5, frames=40, side=320)
    track = track_box(made.bmode, made.reference, (30, 30, 290, 290), BMODE, SETTINGS)
    assert errors(made, track).mean() < 0.6


@pytest.mark.parametrize("method", [BMODE, CONTRAST])
def test_motion_beyond_reach_is_held_and_leaves_no_drift(method: str) -> None:
    """A peak on the rim of the search is not a place; a running mean that took it in would walk away with it."""
    made = clip(1)
    frames = made.bmode if method == BMODE else made.contrast
    near = Processing(margin_px=8.0, max_shift_px=3.0)
    track = track_box(frames, made.reference, box_around(made.polygon, 8.0), method, near)
    beyond = np.abs(made.shift).max(axis=1) > 4
    shown = made.seconds > 18
    assert beyond[shown].any()
    assert track.held[beyond & shown].all()
    assert errors(made, track)[~track.held & shown].max() < 2.5
