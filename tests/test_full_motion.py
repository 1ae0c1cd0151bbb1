"""Phantoms with full motion: breaths up to 25 mm, out of the plane in 10-30 % of the frames, drift, and a cough.

The quick tests take a few lesions; the slow one measures what the issue asks on many.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from made_exams import PLAN, exam_of, outline_of, phantom

from ceus_models.processing import Processing
from client import tic
from client.trace import box_around, traced
from client.tracking import BMODE, CONTRAST, Track, follow
from client.trust import judged
from sim.phantom import Truth

QUICK = (0, 2)
F64 = npt.NDArray[np.float64]


def followed(number: int, method: str, plan: Processing = PLAN) -> tuple[Track, F64, Truth]:
    """The track, its error (t) in px, and the truth."""
    _, clips, truth = phantom(number)
    panes = [clip.bmode if method == BMODE else clip.contrast for clip in clips]
    frames = np.concatenate([pane for pane in panes if pane is not None])
    track = follow(frames, truth.reference, box_around(outline_of(truth), plan.margin_px), method, plan)
    moved = truth.shift_px - truth.shift_px[truth.reference]
    return track, np.hypot(*(track.shift - moved).T), truth


def doubted(track: Track, truth: Truth) -> bool:
    """Whether the track goes to a person; the contrast arrives where the lesion's curve passes 5 %."""
    seen = truth.lesion_tic > 0.05 * truth.lesion_tic.max()
    seen = np.cumsum(seen) > 0 if track.method == CONTRAST else np.ones_like(seen)
    return bool(judged(track, seen, truth.reference).doubts)


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
    _, clips, truth = phantom(0)
    frames = np.concatenate([clip.contrast for clip in clips])
    box = box_around(outline_of(truth), PLAN.margin_px)
    plain = follow(frames, truth.reference, box, CONTRAST, PLAN)
    far = truth.reference + np.arange(60, 120)
    frames[far] = np.roll(frames[far], 25, axis=2)
    torn = follow(frames, truth.reference, box, CONTRAST, PLAN)
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
    _, clips, truth = phantom(0)
    exam, outline = exam_of(clips, truth, bmode)
    found = traced(exam, outline, PLAN)
    assert found.trace.parameters["peak_s"] == pytest.approx(truth.peak_s, abs=2.0)
    assert found.trace.notes == ()  # full motion is neither a flash nor a second injection


LESIONS = 44
SHOWN = ("PE", "TTP", "RT", "mTT", "FT", "WoAUC")


@pytest.mark.slow
@pytest.mark.parametrize(("method", "limit"), [(BMODE, 1.5), (CONTRAST, 4.0)])
def test_errors_over_many_lesions(method: str, limit: float) -> None:
    rows = [
        (error.mean(), doubted(track, truth))
        for track, error, truth in (followed(number, method) for number in range(LESIONS))
    ]
    errors, doubts = np.array(rows).T
    assert errors.mean() < limit
    assert doubts[errors <= 5].mean() < 0.1
    assert doubts[errors > 10].all()


@pytest.mark.slow
@pytest.mark.parametrize("bmode", [True, False])
def test_curves_over_many_lesions(bmode: bool) -> None:
    late, off, moved = [], [], []
    for number in range(LESIONS):
        drawn, clips, truth = phantom(number)
        exam, outline = exam_of(clips, truth, bmode)
        found = traced(exam, outline, PLAN).trace.parameters
        curve = tic.Tic(truth.lesion_tic, truth.lesion_tic, tic.first_peak(truth.lesion_tic), True)
        true = tic.parameters(curve, truth.seconds)
        depth = np.flatnonzero(truth.mask.any(axis=1)).mean() / (truth.mask.shape[0] - 1) - 0.5
        gain = drawn.physics.gain_db + 2.51 + drawn.physics.depth_gain_db * depth
        unit = 10 ** ((140 / 255 * drawn.dynamic_range_db + gain) / 10)  # of contrast 1, on the display
        scale = {"PE": unit, "WoAUC": unit}
        off.append([found.get(name, np.nan) / (true.get(name, np.nan) * scale.get(name, 1)) - 1 for name in SHOWN])
        late.append(found["peak_s"] - truth.peak_s)
        center = outline.mean(axis=0)
        for other in (center + 1.2 * (outline - center), center + 0.8 * (outline - center)):
            moved.append(traced(exam, other, PLAN).trace.parameters["peak_s"] - found["peak_s"])
    assert np.median(np.abs(late)) < 1.0
    medians = dict(zip(SHOWN, np.nanmedian(np.abs(off), axis=0), strict=True))
    assert max(medians.pop("RT"), medians["FT"]) < 0.15  # a tangent's foot: 12 % here
    assert max(medians.values()) < (0.1 if bmode else 0.15)
    assert np.median(np.abs(moved)) < 2.0
