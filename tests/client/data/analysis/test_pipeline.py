"""From files to samples: real files end to end, one clip after the other cut to where the lesion can be."""

from __future__ import annotations

import dataclasses
import json
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from pydicom.data import get_testdata_file

from ceus_models.study.processing import Processing
from ceus_models.study.taxonomy import CLINICAL
from client.data.analysis import pipeline
from client.data.analysis.pipeline import build_sample, trace_row
from client.data.analysis.track_quality import UntrustedTrack
from client.data.analysis.tracking import CONTRAST, METHODS
from client.data.forms.site_config import load_site
from client.data.outlines.outline import OutlineError
from client.data.table.rows import ClipSpec, OutlineSpec, Row

DATA = Path(__file__).parents[3] / "data"
SMALL = Processing(frames_to_peak=16, frames_after=6, size=48, flow_maps=5, flow_size=32, margin_px=8.0)


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
        clinical=(*(1.0 for _ in CLINICAL[1:]), float("nan")),
        groups={"sex": "male"},
    )


def circle(folder: Path, center: tuple[float, float], radius: float, size: tuple[int, int] = (738, 592)) -> Path:
    """An outline on a picture of that width and height."""
    angle = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    points = np.array(center) + radius * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    shapes = [{"label": "lesion", "points": points.tolist(), "shape_type": "polygon"}]
    (folder / "outline.json").write_text(json.dumps({"shapes": shapes, "imageWidth": size[0], "imageHeight": size[1]}))
    return folder / "outline.json"


@pytest.mark.parametrize(
    ("path", "center", "frames", "last_s"),
    [
        (Path(str(get_testdata_file("examples_ybr_color.dcm"))), (160.0, 120.0), 30, 12 + 29 / 2),
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
    rate = 2.0 if path.suffix == ".dcm" else None  # a heart in one second: taken for a slower examination
    outline = circle(tmp_path, center, 40, (320, 240) if path.suffix == ".dcm" else (738, 592))
    row = row_of(path, outline, frames // 2, rate)
    row = dataclasses.replace(row, track_checked=True, clip_checked=True)  # none of these shows contrast
    sample, trace = build_sample(row, site, Processing())
    assert sample.frames.shape == (100, 112, 112)
    assert sample.flow.shape == (10, 2, 112, 112)
    assert sample.flow.any()
    assert 0.89 <= sample.curve.max() <= 1.0  # the peak frame is the first within 0.5 dB of the maximum
    assert (sample.label, sample.cohort, sample.groups) == ("HM", "training_b", {"sex": "male"})
    assert len(sample.key) == len(sample.patient) == 16
    repeats = 2 if path.suffix == ".dcm" else 0  # this file shows two of its pictures twice
    assert sample.quality["frozen_frames"] == repeats
    frames -= repeats
    assert (len(trace.seconds), trace.seconds[-1]) == (frames, pytest.approx(last_s, abs=1e-3))
    assert METHODS[int(sample.quality["tracking_method"])] == CONTRAST  # one pane only, and it says so
    assert (sample.quality["frames"], sample.quality["held_share"]) == (frames, pytest.approx(trace.held.mean()))
    assert trace.chosen.shape == (100,)
    assert np.array_equal(trace.flow, sample.flow * np.float32(sample.flow_scale))
    for word in ("L1", "Wang", "liver", "examples"):
        assert word not in repr(dataclasses.asdict(sample))


def test_an_outline_on_no_such_frame_is_told(tmp_path: Path) -> None:
    (tmp_path / "site.yaml").write_text("schema: 1\ncenter: 40\nname: H\n")
    outline = circle(tmp_path, (160, 120), 20, (320, 240))
    row = row_of(Path(str(get_testdata_file("examples_ybr_color.dcm"))), outline, 30)
    with pytest.raises(OutlineError) as caught:  # frames 0-29: 30 is the 1-based number of the last
        build_sample(row, load_site(tmp_path), SMALL)
    assert caught.value.reason == "outline-frame-beyond-clip"


def test_an_untrusted_track_goes_to_a_person(tmp_path: Path) -> None:
    """An outline before any contrast, on a contrast-only clip: not used until the table says that it was looked at."""
    (tmp_path / "site.yaml").write_text("schema: 1\ncenter: 40\nname: H\n")
    site = load_site(tmp_path)
    row = row_of(DATA / "liver_sweep_vfr.mp4", circle(tmp_path, (370, 330), 40), 70)
    row = dataclasses.replace(row, clip_checked=True)
    blind = dataclasses.replace(SMALL, correlation_gate=2.0)  # every frame is held
    with pytest.raises(UntrustedTrack) as caught:
        build_sample(row, site, blind)
    assert caught.value.reason == "track-to-be-looked-at"
    assert "held" in caught.value.value
    assert trace_row(row, site, blind).trace.doubts
    sample, _ = build_sample(dataclasses.replace(row, track_checked=True), site, blind)
    assert sample.quality["held_share"] > 0.9


def test_the_time_of_an_untimed_clip_counts_from_the_first_enhancement(tmp_path: Path) -> None:
    (tmp_path / "site.yaml").write_text("schema: 1\ncenter: 40\nname: H\n")
    site = load_site(tmp_path)
    row = row_of(DATA / "liver_sweep_vfr.mp4", circle(tmp_path, (370, 330), 40), 70)
    row = dataclasses.replace(row, track_checked=True, clip_checked=True)
    sample, trace = build_sample(row, site, SMALL)
    untimed, moved = build_sample(dataclasses.replace(row, timed=False), site, SMALL)
    assert (sample.quality["injection_from"], untimed.quality["injection_from"]) == (0.0, 1.0)
    assert moved.parameters["t0"] == pytest.approx(0.0)
    assert moved.seconds == pytest.approx(trace.seconds - trace.parameters["t0"])
    assert np.array_equal(sample.frames, untimed.frames)


def test_only_the_part_where_the_lesion_can_be_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same key frames, from a third of the pane."""
    (tmp_path / "site.yaml").write_text("schema: 1\ncenter: 40\nname: H\n")
    site = load_site(tmp_path)
    path = DATA / "liver_sweep_23fps_mjpg.avi"
    row = row_of(path, circle(tmp_path, (370, 330), 30), 70)
    clips = (ClipSpec(path, 12.0), ClipSpec(path, 90.0))
    row = dataclasses.replace(row, track_checked=True, clip_checked=True, clips=clips)
    sizes = []

    def joined(clips, *others):  # type: ignore[no-untyped-def]
        sizes.append(clips[0].contrast[0].size)
        return original(clips, *others)

    original = pipeline.join_clips
    monkeypatch.setattr(pipeline, "join_clips", joined)
    part, _ = build_sample(row, site, SMALL)
    monkeypatch.setattr(pipeline, "crop_clip", lambda clip, _: clip)
    whole, _ = build_sample(row, site, SMALL)
    assert np.array_equal(part.frames, whole.frames)
    assert part.curve == pytest.approx(whole.curve, rel=0.03)  # the search near a rim differs a little
    assert sizes[0] < sizes[1] / 3
