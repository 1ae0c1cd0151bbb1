"""Interlaced video: the fields of a frame are two moments; what comes out is the first, whole, at the frame's time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from made_clips import moving_disc, write_dicom
from made_videos import FORMS, Form, write_film

from client.data.imaging.clip import ClipError, open_clip
from client.data.imaging.dicom import reader as dicom
from client.data.imaging.screen import Screen
from client.data.imaging.video import deinterlace
from client.data.imaging.video import reader as video

U8 = npt.NDArray[np.uint8]
WHOLE = Screen("*", 96, 128, (0, 0, 128, 96), None, "grey", 60.0)
TOP = Form("libx264", options={"crf": "4"}, fields="tff")
BOTTOM = Form("libx264", options={"crf": "4"}, fields="bff")
MPEG_2 = Form("mpeg2video", options={"qmin": "1", "qmax": "2"}, fields="bff", rate=25)
MPEG_2_TOP = Form("mpeg2video", options={"qmin": "1", "qmax": "2"}, fields="tff", rate=25)


def weave(moments: U8, first: int) -> U8:
    """Frames of two moments each: the lines of the first field (0 top, 1 bottom) are the earlier one."""
    frames = moments[::2].copy()
    frames[:, 1 - first :: 2] = moments[1::2, 1 - first :: 2]
    return frames


def comb(pictures: U8) -> float:
    """How far lines lie from the mean of their neighbours, levels, along the disc's way."""
    part = pictures[:, 36:60, :, 1].astype(float)
    return float(np.abs(part[:, 1:-1] - (part[:, :-2] + part[:, 2:]) / 2).mean())


@pytest.mark.parametrize(
    ("name", "form", "first"),
    [("a.mp4", TOP, 0), ("a.mp4", BOTTOM, 1), ("a.avi", MPEG_2, 1), ("a.avi", MPEG_2_TOP, 0), ("a.mov", TOP, 0)],
)
def test_each_frame_is_the_moment_of_its_first_field(tmp_path: Path, name: str, form: Form, first: int) -> None:
    moments = moving_disc(24)
    woven = weave(moments, first)
    path = write_film(tmp_path / name, woven, form)
    shown = np.stack(list(video.open(path).pictures()))
    truth = moments[::2]
    assert shown.shape == truth.shape
    assert comb(woven) > 3 * comb(truth)
    assert comb(shown) < 1.2 * comb(truth) + 0.3
    off = [float(np.abs(shown.astype(int) - wanted).mean()) for wanted in (truth, moments[1::2], woven)]
    assert off[0] == min(off)
    assert off[0] < 1.3
    clip = open_clip(path, 0.0, None, [WHOLE])
    assert len(clip.contrast) == 12
    assert clip.seconds == pytest.approx(np.arange(12) / form.rate)


def test_without_the_filter_the_combs_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that the test above can fail."""
    woven = weave(moving_disc(24), 0)
    path = write_film(tmp_path / "a.mp4", woven, TOP)
    monkeypatch.setattr(video, "deinterlace", lambda frames, order: frames)
    shown = np.stack(list(video.open(path).pictures()))
    assert comb(shown) > 0.8 * comb(woven)


def test_progressive_frames_are_left_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_film(tmp_path / "a.mp4", moving_disc(12), FORMS["h264.mp4"])
    before = np.stack(list(video.open(path).pictures()))
    monkeypatch.setattr(video, "deinterlace", lambda frames, order: frames)
    assert np.array_equal(np.stack(list(video.open(path).pictures())), before)


def test_a_still_picture_keeps_its_lines(tmp_path: Path) -> None:
    """Where nothing moves both fields are used, so no resolution is lost."""
    still = np.repeat(moving_disc(1), 12, axis=0)
    still[:, 20:60:4, 30:90] = 200
    path = write_film(tmp_path / "a.mp4", still, TOP)
    shown = np.stack(list(video.open(path).pictures()))
    assert np.abs(shown[2:-2].astype(int) - still[2:-2]).mean() < 1.5


def test_interlaced_streams_of_dicom_have_no_combs(tmp_path: Path) -> None:
    """H.264 and MPEG-2, whose decoders give no or other time stamps: the header's times stay."""
    moments = moving_disc(24)
    tags = {"NumberOfFrames": 12, "Rows": 96, "Columns": 128, "FrameTime": 40.0}
    for name, form, first, syntax in (("a.h264", TOP, 0, "2"), ("a.m2v", MPEG_2, 1, "0")):
        content = write_film(tmp_path / name, weave(moments, first), form).read_bytes()
        path = write_dicom(tmp_path / "a.dcm", [content], "YBR_PARTIAL_420", tags, f"1.2.840.10008.1.2.4.10{syntax}")
        shown = np.stack(list(dicom.open(path).pictures()))
        assert np.abs(shown.astype(int) - moments[::2]).mean() < 1.3
        assert open_clip(path, 0.0, None, [WHOLE]).seconds == pytest.approx(np.arange(12) * 0.04)


def test_frames_that_the_filter_loses_end_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_film(tmp_path / "a.mp4", weave(moving_disc(24), 0), TOP)
    true = deinterlace._filter
    monkeypatch.setattr(
        deinterlace, "_filter", lambda graph, frame: true(graph, frame)[:0] if frame is None else true(graph, frame)
    )
    with pytest.raises(ClipError, match="12 interlaced frames of which 11"):
        list(video.open(path).pictures())


def test_a_container_that_states_the_order_of_unmarked_fields_is_believed(tmp_path: Path) -> None:
    moments = moving_disc(24)
    path = write_film(tmp_path / "a.avi", weave(moments, 0), FORMS["mjpeg.avi"])
    with video.open_stream(path) as opened:
        shown = [frame.to_ndarray(format="rgb24") for frame in deinterlace.deinterlace(opened.decode(), 2)]
    assert len(shown) == 12
    assert (
        np.abs(np.stack(shown).astype(int) - moments[::2]).mean()
        < np.abs(np.stack(shown).astype(int) - moments[1::2]).mean()
    )
    assert comb(np.stack(shown)) < 1.5 * comb(moments[::2]) + 0.5
