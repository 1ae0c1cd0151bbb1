"""Rotated, mirrored and stretched videos are shown as a player shows them; a slant is refused."""

from __future__ import annotations

import struct
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from made_clips import moving_disc, write_dicom
from made_videos import FORMS, Form, write_film

from client.data.imaging.clip import ClipError, open_clip
from client.data.imaging.dicom import reader as dicom
from client.data.imaging.screen import Screen
from client.data.imaging.video import reader as video
from client.data.imaging.video.geometry import Geometry

U8 = npt.NDArray[np.uint8]
ONE = 1 << 16
TURNED = {
    "not at all": ((1, 0, 0, 1), lambda p: p),
    "clockwise": ((0, 1, -1, 0), lambda p: np.rot90(p, -1)),
    "upside down": ((-1, 0, 0, -1), lambda p: np.rot90(p, 2)),
    "against the clock": ((0, -1, 1, 0), lambda p: np.rot90(p, 1)),
    "mirrored": ((-1, 0, 0, 1), lambda p: p[:, ::-1]),
    "flipped": ((1, 0, 0, -1), lambda p: p[::-1]),
    "transposed": ((0, 1, 1, 0), lambda p: p.transpose(1, 0, 2)),
    "transposed backwards": ((0, -1, -1, 0), lambda p: np.rot90(p, 2).transpose(1, 0, 2)),
}


def turn(path: Path, matrix: tuple[float, ...]) -> Path:
    """Writes a display matrix into an MP4 (ISO 14496-12, tkhd)."""
    content = bytearray(path.read_bytes())
    at = content.index(b"tkhd") + 4 + 40
    a, b, c, d = (round(value * ONE) for value in matrix)
    content[at : at + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("way", TURNED)
def test_a_video_is_shown_as_its_display_matrix_says(tmp_path: Path, way: str) -> None:
    matrix, turned = TURNED[way]
    path = write_film(tmp_path / "a.mp4", moving_disc(6), FORMS["h264.mp4"])
    before = [turned(picture) for picture in video.open(path).pictures()]
    recording = video.open(turn(path, matrix))
    shown = list(recording.pictures())
    assert (recording.rows, recording.columns) == before[0].shape[:2]
    assert np.array_equal(np.stack(shown), np.stack(before))
    whole = Screen("*", *before[0].shape[:2], (0, 0, before[0].shape[1], before[0].shape[0]), None, "grey", 60.0)
    clip = open_clip(path, 0.0, None, [whole])
    assert np.abs(clip.contrast[3].astype(int) - before[3][..., 1])[clip.contrast[3] > 0].max() <= 2
    assert recording.sample_pictures(3)[0].shape == before[0].shape


@pytest.mark.parametrize("matrix", [(0.94, 0.34, -0.34, 0.94), (0, 0, 0, 0), (2, 0, 0, 1)])
def test_a_slant_is_refused(tmp_path: Path, matrix: tuple[float, ...]) -> None:
    path = turn(write_film(tmp_path / "a.mp4", moving_disc(3), FORMS["h264.mp4"]), matrix)
    with pytest.raises(ClipError, match="aslant"):
        video.open(path)


@pytest.mark.parametrize(("aspect", "columns"), [(Fraction(16, 15), 137), (Fraction(8, 9), 114), (Fraction(1), 128)])
def test_pixels_become_square(tmp_path: Path, aspect: Fraction, columns: int) -> None:
    path = write_film(tmp_path / "a.mp4", moving_disc(6), Form("mpeg4", options={"qmax": "2"}, aspect=aspect))
    recording = video.open(path)
    assert (recording.rows, recording.columns) == (96, columns)
    wanted = np.stack([cv2.resize(picture, (columns, 96)) for picture in moving_disc(6)])
    shown = np.stack(list(recording.pictures()))
    assert np.abs(shown.astype(int) - wanted).mean() < 1.5
    whole = Screen("*", 96, columns, (0, 0, columns, 96), None, "grey", 60.0)
    assert open_clip(path, 0.0, None, [whole]).contrast.shape == (6, 96, columns)


def test_streams_of_dicom_keep_their_pixels_whose_spacing_the_header_states(tmp_path: Path) -> None:
    form = Form("mpeg2video", aspect=Fraction(16, 15), rate=25)
    content = write_film(tmp_path / "a.m2v", moving_disc(6), form).read_bytes()
    tags = {"NumberOfFrames": 6, "Rows": 96, "Columns": 128, "FrameTime": 40.0}
    path = write_dicom(tmp_path / "a.dcm", [content], "YBR_PARTIAL_420", tags, "1.2.840.10008.1.2.4.100")
    assert next(dicom.open(path).pictures()).shape == (96, 128, 3)


def test_impossible_pixels_are_refused(tmp_path: Path) -> None:
    path = write_film(tmp_path / "a.mp4", moving_disc(3), Form("mpeg4", aspect=Fraction(9)))
    with pytest.raises(ClipError, match="9 times as wide"):
        video.open(path)


def test_every_way_to_show_has_its_size() -> None:
    assert Geometry(1, False, 1.5).compute_size(10, 20) == (30, 10)
    assert Geometry(1, True, 1.5).show(np.zeros((10, 20, 3), np.uint8)).shape == (30, 10, 3)
    assert Geometry().plain
    assert not Geometry(mirrored=True).plain
