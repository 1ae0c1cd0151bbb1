"""From files to samples: real files end to end, clips joined in time, the annotated frame counted from 0."""

from __future__ import annotations

import dataclasses
import json
from datetime import date
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from made_clips import Speckle, speckle_clip
from pydicom.data import get_testdata_file

from ceus_models.processing import Processing
from client.clip import Clip, ClipError
from client.config import load_site
from client.manifest import ClipSpec, OutlineSpec, Row
from client.outline import OutlineError
from client.pipeline import Exam, box_around, joined, sample_of, traced
from client.tracking import BMODE, CONTRAST, METHODS

DATA = Path(__file__).parent / "data"
SMALL = Processing(frames_to_peak=16, frames_after=6, size=48, flow_maps=5, flow_size=32, margin_px=8.0)
SQUARE = np.array([[30.0, 30.0], [60.0, 30.0], [60.0, 60.0], [30.0, 60.0]])


def row_of(clip: Path, outline: Path, frame: int, rate: float | None = None) -> Row:
    return Row(
        line=2,
        lesion_id="L1",
        patient_id="Wang",
        exam_date=date(2021, 5, 6),
        cohort="training_b",
        label="HM",
        clips=(ClipSpec(clip, 12.0),),
        frame_rate_hz=rate,
        outline=OutlineSpec(outline, frame, "screen"),
        manufacturer="unknown",
        biomarkers=(1.0, 0.0, float("nan"), float("nan")),
        clinical=(1.0,) * 16 + (float("nan"),),
        groups={"sex": "male"},
    )


def circle(folder: Path, center: tuple[float, float], radius: float) -> Path:
    angle = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    points = np.array(center) + radius * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    shapes = [{"label": "lesion", "points": points.tolist(), "shape_type": "polygon"}]
    (folder / "outline.json").write_text(json.dumps({"shapes": shapes}))
    return folder / "outline.json"


@pytest.mark.parametrize(
    ("path", "center", "frames", "last_s"),
    [
        (Path(str(get_testdata_file("examples_ybr_color.dcm"))), (160.0, 120.0), 30, 12 + 29 * 0.033333),
        (DATA / "liver_sweep_23fps_mjpg.avi", (370.0, 330.0), 140, 12 + 139 / 23),
        (DATA / "liver_sweep_vfr.mp4", (370.0, 330.0), 140, 12 + 6.084),
    ],
    ids=["dicom", "avi", "mp4"],
)
def test_real_files_run_from_file_to_sample(
    tmp_path: Path, path: Path, center: tuple[float, float], frames: int, last_s: float
) -> None:
    (tmp_path / "site.yaml").write_text("schema: 1\ncenter: 40\nname: H\n")
    site = load_site(tmp_path)
    sample, trace = sample_of(row_of(path, circle(tmp_path, center, 40), frames // 2), site, Processing())
    assert sample.frames.shape == (100, 112, 112)
    assert sample.flow.shape == (10, 2, 112, 112)
    assert sample.flow.any()
    assert sample.curve.max() == pytest.approx(1.0)
    assert (sample.label, sample.cohort, sample.groups) == ("HM", "training_b", {"sex": "male"})
    assert len(sample.key) == len(sample.patient) == 16
    assert (len(trace.seconds), trace.seconds[-1]) == (frames, pytest.approx(last_s, abs=1e-3))
    assert METHODS[int(sample.quality["tracking_method"])] == CONTRAST  # one pane only, and it says so
    assert (sample.quality["frames"], sample.quality["held_share"]) == (frames, pytest.approx(trace.held.mean()))
    assert trace.chosen.shape == (100,)
    assert np.array_equal(trace.flow, sample.flow * np.float32(sample.flow_scale))
    for word in ("L1", "Wang", "liver", "examples"):
        assert word not in repr(dataclasses.asdict(sample))


def clip_of(frames: npt.NDArray[np.uint8], seconds: npt.NDArray[np.float64], with_bmode: bool = True) -> Clip:
    rows, columns = frames.shape[1:]
    bmode = frames[:, ::-1].copy() if with_bmode else None
    box = (0, 0, columns, rows)
    return Clip(frames, bmode, seconds, None, box, box if with_bmode else None, rows, columns)


def numbered(first: int, count: int, start_s: float, side: int = 20) -> Clip:
    frames = np.repeat(np.arange(first, first + count, dtype=np.uint8), side * side).reshape(count, side, side)
    return clip_of(frames, start_s + np.arange(count) * 0.5)


def exam_of(made: Speckle, bmode: bool = True) -> Exam:
    box = (0, 0, *made.contrast.shape[2:0:-1])
    pane = made.bmode if bmode else None
    other = box if bmode else None
    clip = Clip(made.contrast, pane, made.seconds, None, box, other, box[3], box[2])
    return joined([clip], made.reference)


def test_clips_are_joined_on_one_time_axis() -> None:
    exam = joined([numbered(0, 20, 5.0), numbered(100, 6, 90.0), numbered(200, 6, 120.0)], 7)
    assert [int(frame[0, 0]) for frame in exam.contrast] == [*range(20), *range(100, 106), *range(200, 206)]
    assert exam.seconds[[0, 19, 20, 31]] == pytest.approx([5.0, 14.5, 90.0, 122.5])
    assert (np.diff(exam.seconds) > 0).all()
    assert len(exam.bmode) == 32
    assert int(exam.contrast[exam.reference][0, 0]) == 7


@pytest.mark.parametrize("frame", [0, 9, 10, 11])
def test_the_annotated_frame_counts_from_0_in_the_first_clip(frame: int) -> None:
    """Also where the second clip starts on the last frames of the first."""
    exam = joined([numbered(0, 12, 5.0), numbered(100, 6, 10.0)], frame)
    assert int(exam.contrast[exam.reference][0, 0]) == frame
    assert (np.diff(exam.seconds) > 0).all()


def test_clips_that_overlap_or_differ_are_refused() -> None:
    for others, reason in (
        ([numbered(0, 12, 9.0)], "clips-overlap"),
        ([numbered(0, 12, 20.0, side=22)], "clips-differ"),
        ([], "too-few-frames"),
    ):
        with pytest.raises(ClipError) as caught:
            joined([numbered(0, 12 if others else 3, 5.0), *others], 0)
        assert caught.value.reason == reason


def test_a_clip_without_bmode_makes_the_lesion_contrast_only() -> None:
    late = clip_of(np.zeros((6, 20, 20), np.uint8), 90 + np.arange(6.0), with_bmode=False)
    assert joined([numbered(0, 12, 5.0), late], 0).bmode == []


@pytest.mark.parametrize(("bmode", "method"), [(True, BMODE), (False, CONTRAST)])
def test_the_curve_peaks_where_the_lesion_does(bmode: bool, method: str) -> None:
    made = speckle_clip(3)
    trace, frames, quality = traced(exam_of(made, bmode), made.polygon, SMALL)
    truth = made.seconds[np.argmax(made.perfusion)]
    assert trace.parameters["peak_s"] == pytest.approx(truth, abs=1.0)
    assert quality["tracking_method"] == METHODS.index(method)
    assert frames.shape == (22, 48, 48)
    if method == BMODE:
        assert np.corrcoef(trace.smoothed, made.perfusion)[0, 1] > 0.99
        assert quality["held_share"] == 0.0


def test_the_crop_follows_the_lesion() -> None:
    """With tracking, still tissue stands still in the crops of the B-mode pane shown as contrast."""
    made = dataclasses.replace(speckle_clip(4), contrast=speckle_clip(4).bmode)
    _, frames, _ = traced(exam_of(made), made.polygon, SMALL)
    spread = frames.astype(float).std(axis=0).mean()
    still = dataclasses.replace(SMALL, correlation_gate=2.0)  # every frame held: no tracking
    _, unmoved, _ = traced(exam_of(made), made.polygon, still)
    assert spread < 0.5 * unmoved.astype(float).std(axis=0).mean()


def test_the_devices_dynamic_range_goes_before_the_plans() -> None:
    made = speckle_clip(3, frames=40)
    wide = exam_of(made)
    narrow = dataclasses.replace(wide, first=dataclasses.replace(wide.first, dynamic_range_db=30.0))
    peaks = [traced(exam, made.polygon, SMALL)[0].parameters["PE_dB"] for exam in (wide, narrow)]
    assert peaks[1] < 0.7 * peaks[0]


def test_a_box_is_the_rectangle_and_its_margin() -> None:
    assert box_around(SQUARE, 20.0) == (10, 10, 81, 81)
    assert box_around(SQUARE + 0.5, 0.0) == (30, 30, 62, 62)


def test_crops_beyond_the_pane_are_black() -> None:
    made = speckle_clip(3, frames=30)
    far = Processing(frames_to_peak=4, frames_after=2, size=64, flow_size=32, margin_px=120.0)
    _, frames, _ = traced(exam_of(made), made.polygon, far)
    assert frames[:, 0].max() == 0
    assert frames[:, 32, 32].min() > 0


def test_an_outline_on_no_such_frame_is_told(tmp_path: Path) -> None:
    (tmp_path / "site.yaml").write_text("schema: 1\ncenter: 40\nname: H\n")
    row = row_of(Path(str(get_testdata_file("examples_ybr_color.dcm"))), circle(tmp_path, (160, 120), 20), 30)
    with pytest.raises(OutlineError) as caught:  # frames 0-29: 30 is the 1-based number of the last
        sample_of(row, load_site(tmp_path), SMALL)
    assert caught.value.reason == "outline-frame-beyond-clip"
