"""From an exam to a trace: curve, key frames and crops follow the lesion; what is no bolus does not get in."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from made_clips import Speckle, speckle_clip
from made_frames import frames_of

from ceus_models.study.processing import Processing
from client.data.analysis.exam import Exam, join_clips
from client.data.analysis.tic import PEAK_DB
from client.data.analysis.trace import box_around, trace_exam
from client.data.analysis.tracking import BMODE, CONTRAST, METHODS
from client.data.imaging.clip import Clip

SMALL = Processing(frames_to_peak=16, frames_after=6, size=48, flow_maps=5, flow_size=32, margin_px=8.0)
SQUARE = np.array([[30.0, 30.0], [60.0, 30.0], [60.0, 60.0], [30.0, 60.0]])


def exam_of(made: Speckle, bmode: bool = True) -> Exam:
    box = (0, 0, *made.contrast.shape[2:0:-1])
    pane = frames_of(made.bmode) if bmode else None
    other = box if bmode else None
    clip = Clip(frames_of(made.contrast), pane, made.seconds, None, box, other, box[3], box[2])
    return join_clips([clip], made.reference)


@pytest.mark.parametrize(("bmode", "method"), [(True, BMODE), (False, CONTRAST)])
def test_the_curve_peaks_where_the_lesion_does(bmode: bool, method: str) -> None:
    made = speckle_clip(3)
    found = trace_exam(exam_of(made, bmode), made.polygon, SMALL)
    trace, frames, quality = found.trace, found.frames, found.quality
    truth = made.seconds[np.argmax(made.perfusion >= made.perfusion.max() * 10 ** (-PEAK_DB / 10))]
    assert trace.parameters["peak_s"] == pytest.approx(truth, abs=1.0)
    assert quality["tracking_method"] == METHODS.index(method)
    assert frames.shape == (22, 48, 48)
    if method == BMODE:
        assert np.corrcoef(trace.smoothed, made.perfusion)[0, 1] > 0.99
        assert quality["held_share"] == 0.0


def test_the_crop_follows_the_lesion() -> None:
    """With tracking, still tissue stands still in the crops of the B-mode pane shown as contrast."""
    made = dataclasses.replace(speckle_clip(4), contrast=speckle_clip(4).bmode)
    frames = trace_exam(exam_of(made), made.polygon, SMALL).frames
    spread = frames.astype(float).std(axis=0).mean()
    still = dataclasses.replace(SMALL, correlation_gate=2.0)  # every frame held: no tracking
    unmoved = trace_exam(exam_of(made), made.polygon, still).frames
    assert spread < 0.5 * unmoved.astype(float).std(axis=0).mean()


def test_the_devices_dynamic_range_goes_before_the_plans() -> None:
    made = speckle_clip(3, frames=40)
    wide = exam_of(made)
    narrow = dataclasses.replace(wide, first=dataclasses.replace(wide.first, dynamic_range_db=30.0))
    peaks = [trace_exam(exam, made.polygon, SMALL).trace.parameters["PE_dB"] for exam in (wide, narrow)]
    assert peaks[1] < 0.7 * peaks[0]


def test_a_box_is_the_rectangle_and_its_margin() -> None:
    assert box_around(SQUARE, 20.0) == (10, 10, 81, 81)
    assert box_around(SQUARE + 0.5, 0.0) == (30, 30, 62, 62)


def test_crops_beyond_the_pane_are_black() -> None:
    made = speckle_clip(3, frames=30)
    far = Processing(frames_to_peak=4, frames_after=2, size=64, flow_size=32, margin_px=120.0)
    frames = trace_exam(exam_of(made), made.polygon, far).frames
    assert frames[:, 0].max() == 0
    assert frames[:, 32, 32].min() > 0


@pytest.mark.parametrize("bmode", [True, False])
def test_a_flash_gets_neither_into_the_curve_nor_into_the_key_frames(bmode: bool) -> None:
    """Trap 13. A burst of twice the brightness would be the peak, and its black refill a key frame."""
    made = speckle_clip(3)
    peak = trace_exam(exam_of(made, bmode), made.polygon, SMALL).trace.parameters["peak_s"]
    contrast = made.contrast.copy()
    burst = int(np.searchsorted(made.seconds, 30.0))
    contrast[burst : burst + 2] = np.maximum(contrast[burst : burst + 2], 230)
    contrast[burst + 2 : burst + 8] //= 6
    found = trace_exam(exam_of(dataclasses.replace(made, contrast=contrast), bmode), made.polygon, SMALL)
    assert 7 <= found.quality["flash_frames"] <= 9
    assert found.trace.parameters["peak_s"] == pytest.approx(peak, abs=0.5)
    gone = made.seconds[burst : burst + 7]
    assert not set(found.trace.seconds) & set(gone)
    after = found.frames[found.trace.seconds[found.trace.chosen] > 30].reshape(-1, 48 * 48).mean(axis=1)
    assert 90 < after.min() <= after.max() < 200  # neither burst nor refill
    assert "flashes" in found.trace.notes[0]
    assert bmode is not bool(found.trust.doubts)  # without a B-mode pane the box is lost for a while: a person looks


def test_a_search_limit_that_is_hit_is_told() -> None:
    made = speckle_clip(1)
    near = dataclasses.replace(SMALL, max_shift_px=2.0)
    found = trace_exam(exam_of(made), made.polygon, near)
    assert found.quality["beyond_share"] > 0.2
    assert found.trust.doubts
    assert not trace_exam(exam_of(made), made.polygon, SMALL).trust.doubts
