"""Phantoms with full motion: breaths up to 25 mm, out of the plane in 10-30 % of the frames, drift, and a cough.

The quick tests take a few lesions; the slow one measures what the issue asks on many.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from made_exams import FULL, PLAN, exam_of, outline_of, phantom

from ceus_models.study.processing import Processing
from client.data.analysis import tic
from client.data.analysis.trace import box_around, trace_exam
from client.data.analysis.track_quality import assess_track
from client.data.analysis.tracking import BMODE, CONTRAST, Track, track_box
from client.data.imaging.frame_store import chain_frames
from sim.phantom.draw import LesionDraw, Truth
from sim.phantom.render import LEVEL_AT_ONE, LOG_BIAS_DB, build_scene, compute_remaining

QUICK = (1, 3)
"""Lesions without the deepest breaths: while a lesion is out of the plane its box stands still and its way is error."""
F64 = npt.NDArray[np.float64]


def followed(number: int, method: str, plan: Processing = PLAN) -> tuple[Track, F64, Truth]:
    """The track, its error (t) in px, and the truth."""
    _, clips, truth = phantom(number)
    panes = [clip.bmode if method == BMODE else clip.contrast for clip in clips]
    frames = chain_frames(pane for pane in panes if pane is not None)
    track = track_box(frames, truth.reference, box_around(outline_of(truth), plan.margin_px), method, plan)
    moved = truth.shift_px - truth.shift_px[truth.reference]
    return track, np.hypot(*(track.shift - moved).T), truth


def doubted(track: Track, truth: Truth) -> bool:
    """Whether the track goes to a person; the contrast arrives where the lesion's curve passes 5 %."""
    seen = truth.lesion_tic > 0.05 * truth.lesion_tic.max()
    seen = np.cumsum(seen) > 0 if track.method == CONTRAST else np.ones_like(seen)
    return bool(assess_track(track, truth.seconds, seen, truth.reference).doubts)


@pytest.mark.parametrize("number", QUICK)
@pytest.mark.parametrize(("method", "limit"), [(BMODE, 1.5), (CONTRAST, 4.0)])
def test_the_box_stays_on_the_lesion(number: int, method: str, limit: float) -> None:
    track, error, truth = followed(number, method)
    assert np.hypot(*(truth.shift_px - truth.shift_px[truth.reference]).T).max() > 8
    assert error.mean() < limit
    assert error[~track.held].mean() < limit / 2
    assert not doubted(track, truth)
    if method == BMODE:
        assert track.held[truth.out > 0.95].mean() > 0.9
        assert track.held[truth.out == 0].mean() < 0.05


def test_a_jump_of_the_probe_on_a_contrast_only_clip_is_followed_or_told() -> None:
    _, clips, truth = phantom(QUICK[0])
    frames = np.stack(chain_frames(clip.contrast for clip in clips))
    box = box_around(outline_of(truth), PLAN.margin_px)
    plain = track_box(frames, truth.reference, box, CONTRAST, PLAN)
    far = truth.reference + np.arange(60, 120)
    frames[far] = np.roll(frames[far], 25, axis=2)
    torn = track_box(frames, truth.reference, box, CONTRAST, PLAN)
    assert np.nanmean(plain.apart) < 1.0
    moved = np.hypot(*(torn.shift[far] - plain.shift[far]).T)
    assert (torn.held[far] | (moved > 10)).mean() > 0.9  # told, or really followed to where the picture went


def test_a_search_that_is_too_short_is_told() -> None:
    track, error, truth = followed(0, BMODE, replace(PLAN, max_shift_px=3.0))
    assert error.mean() > 2
    assert track.beyond.mean() > 0.3
    assert doubted(track, truth)


@pytest.mark.parametrize("bmode", [True, False])
def test_the_peak_is_found(bmode: bool) -> None:
    _, clips, truth = phantom(QUICK[0])
    exam, outline = exam_of(clips, truth, bmode)
    found = trace_exam(exam, outline, PLAN)
    assert found.trace.parameters["peak_s"] == pytest.approx(truth.peak_s, abs=2.0)
    assert found.trace.notes == ()  # full motion is neither a flash nor a second injection


LESIONS = 44
SHOWN = ("PE", "TTP", "RT", "mTT", "FT", "WiAUC", "WiR", "WiPI", "WoAUC", "WoR")


@pytest.mark.slow
@pytest.mark.timeout(1800)  # minutes of frames are rendered and followed
@pytest.mark.parametrize(("method", "limit"), [(BMODE, 1.5), (CONTRAST, 4.0)])
def test_errors_over_many_lesions(method: str, limit: float) -> None:
    rows = [
        (error.mean(), doubted(track, truth))
        for track, error, truth in (followed(number, method) for number in range(LESIONS))
    ]
    errors, doubts = np.array(rows).T
    assert errors.mean() < limit
    assert doubts[errors <= 5].mean() <= 0.05
    assert doubts[errors > 10].all()


def shown(number: int, method: str) -> npt.NDArray[np.uint8]:
    """The frames (t h w) of one pane of a phantom."""
    clips = phantom(number)[1]
    panes = [clip.bmode if method == BMODE else clip.contrast for clip in clips]
    return np.concatenate([np.stack(list(pane)) for pane in panes if pane is not None])


def moved_away(frames: npt.NDArray[np.uint8], how: str, number: int, truth: Truth, method: str) -> F64:
    """Moves the probe 3-24 s after the outlined frame, for good; what the frames show is changed in place.

    other: to another lesion · roll, slide: by 25-60 px at once or within 2 s. Returns the move (t 2), px; NaN where
    the lesion is no longer to be seen.
    """
    draw = np.random.default_rng([number, 17])
    start = truth.reference + int(draw.integers(15, 120))
    away = np.arange(start, len(frames))
    move = np.zeros((len(frames), 2))
    if how == "other":
        other = shown((number + int(draw.integers(1, 20))) % LESIONS, method)
        away = away[away < len(other)]
        frames[away] = other[away]
        move[away] = np.nan
        return move
    angle, far = draw.uniform(0, 2 * np.pi), draw.uniform(25, 60)
    share = np.clip((truth.seconds[away] - truth.seconds[start]) / 2, 0, 1) if how == "slide" else np.ones(len(away))
    move[away] = np.rint(share[:, None] * far * np.array([np.cos(angle), np.sin(angle)]))
    for index in away:
        frames[index] = np.roll(frames[index], move[index, ::-1].astype(int), axis=(0, 1))
    return move


@pytest.mark.slow
@pytest.mark.timeout(1800)  # minutes of frames are rendered and followed
@pytest.mark.parametrize("how", ["other", "roll", "slide"])
@pytest.mark.parametrize("method", [BMODE, CONTRAST])
def test_a_probe_that_is_moved_away_is_told(how: str, method: str) -> None:
    errors, doubts = [], []
    for number in range(LESIONS):
        truth, frames = phantom(number)[2], shown(number, method)
        move = moved_away(frames, how, number, truth, method)
        track = track_box(frames, truth.reference, box_around(outline_of(truth), PLAN.margin_px), method, PLAN)
        error = np.hypot(*(track.shift - (truth.shift_px - truth.shift_px[truth.reference]) - move).T)
        errors.append(np.where(np.isfinite(error), error, 30.0).mean())  # no place is right where the lesion is gone
        doubts.append(doubted(track, truth))
    lost = np.array(errors) > 10
    assert lost.sum() >= 5
    assert np.array(doubts)[lost].mean() >= 0.9


def generating(drawn: LesionDraw, truth: Truth) -> F64:
    """The curve (t) of the bubbles under the outline, weighted as the measured one is."""
    scene = build_scene(drawn, np.random.Generator(np.random.SFC64(drawn.render_seed)))
    place = outline_of(truth) - truth.shift_px[truth.reference] + scene.spread.padding
    weights, (x, y) = tic.build_soft_mask(place)
    maps = scene.middle.maps[:, y : y + weights.shape[0], x : x + weights.shape[1]]
    means = np.tensordot(maps.astype(np.float64), weights, axes=2) / weights.sum()
    return compute_remaining(drawn, FULL) * (scene.middle.curves.astype(np.float64) @ means)


def unit(drawn: LesionDraw, truth: Truth) -> float:
    """Of contrast 1 at the lesion's depth, on the display."""
    depth = np.flatnonzero(truth.mask.any(axis=1)).mean() / (truth.mask.shape[0] - 1) - 0.5
    gain = drawn.physics.gain_db + LOG_BIAS_DB + drawn.physics.depth_gain_db * depth
    return float(10 ** ((LEVEL_AT_ONE / 255 * drawn.dynamic_range_db + gain) / 10))


def others(outline: F64) -> list[F64]:
    """The outline expanded, shrunk and moved by a fifth to four sides."""
    center, size = outline.mean(axis=0), np.ptp(outline, axis=0)
    moves = [0.2 * size * np.array(side) for side in ((-1, 0), (1, 0), (0, -1), (0, 1))]
    return [center + 1.2 * (outline - center), center + 0.8 * (outline - center), *(outline + move for move in moves)]


@pytest.mark.slow
@pytest.mark.timeout(1800)  # minutes of frames are rendered and followed
@pytest.mark.parametrize("bmode", [True, False])
def test_curves_over_many_lesions(bmode: bool) -> None:
    late, off, moved = [], [], []
    for number in range(LESIONS):
        drawn, clips, truth = phantom(number)
        exam, outline = exam_of(clips, truth, bmode)
        found = trace_exam(exam, outline, PLAN).trace.parameters
        curve = generating(drawn, truth) * unit(drawn, truth)
        true = tic.compute_parameters(tic.Tic(curve, curve, tic.find_first_peak(curve), True), truth.seconds)
        off.append([found.get(name, np.nan) / true.get(name, np.nan) - 1 for name in SHOWN])
        late.append(found["peak_s"] - truth.peak_s)
        moved.append(
            [trace_exam(exam, other, PLAN).trace.parameters["peak_s"] - found["peak_s"] for other in others(outline)]
        )
    medians = dict(zip(SHOWN, np.nanmedian(np.abs(off), axis=0), strict=True))
    assert np.median(np.abs(late)) < 1.0
    assert max(medians.values()) < 0.1
    assert np.median(np.abs(moved)) < 2.0
    assert (np.abs(moved) < 2.0).mean() > 0.85  # see docs/decisions.md: the others hold other tissue
