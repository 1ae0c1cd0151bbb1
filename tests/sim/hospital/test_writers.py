"""Files against what went into them."""

from __future__ import annotations

import datetime
from pathlib import Path

import cv2
import numpy as np
import pydicom
import pytest

from sim.hospital.screens import MAKERS, compute_layout
from sim.hospital.writers import Geometry, Identity, Syntax, encode_rle_frame, write_dicom, write_video

MAKER = MAKERS["Philips"]
LAYOUT = compute_layout(MAKER, (48, 48), False)
WHO = Identity(
    "ZHANG^WEI", "000123", datetime.date(1960, 2, 3), datetime.date(2021, 3, 4), "M", "Hospital 7", "L070001", 1
)


def _screens(count: int = 5) -> np.ndarray:
    smooth = np.linspace(0, 255, LAYOUT.columns)[None, :, None] * np.ones((LAYOUT.rows, 1, 3))
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 30, (count, LAYOUT.rows, LAYOUT.columns, 1))
    shown = np.clip(smooth * 0.8 + noise, 0, 255).astype(np.uint8)
    shown[:, :10] = 0
    return np.asarray(shown)


def _written(folder: Path, syntax: Syntax, seconds: np.ndarray, regions: bool = True) -> pydicom.Dataset:
    path = folder / "clip.dcm"
    write_dicom(path, _screens(seconds.size), seconds, WHO, MAKER, (Geometry(LAYOUT, 1.25, regions), syntax, 95))
    return pydicom.dcmread(path)


@pytest.mark.parametrize("syntax", ["raw", "rle"])
def test_lossless_syntaxes_return_every_pixel(tmp_path: Path, syntax: Syntax) -> None:
    data = _written(tmp_path, syntax, np.arange(5) * 0.5)
    assert (data.pixel_array == _screens()).all()


def test_jpeg_is_close(tmp_path: Path) -> None:
    data = _written(tmp_path, "jpeg", np.arange(5) * 0.5)
    assert data.PhotometricInterpretation == "YBR_FULL_422"
    assert np.abs(data.pixel_array.astype(int) - _screens()).mean() < 3


def test_regular_times_are_a_frame_time(tmp_path: Path) -> None:
    data = _written(tmp_path, "raw", 3.0 + np.arange(5) * 0.588235)
    assert float(data.FrameTime) == 588.235
    assert "FrameTimeVector" not in data


def test_irregular_times_are_a_vector_with_a_meaningless_first_entry(tmp_path: Path) -> None:
    seconds = np.array([3.0, 3.5, 4.123456, 4.5, 5.5])
    data = _written(tmp_path, "rle", seconds)
    vector = np.array([float(v) for v in data.FrameTimeVector])
    assert vector[0] > 0
    assert np.cumsum(vector[1:]) / 1000 == pytest.approx(seconds[1:] - 3.0, abs=1e-6)
    assert data.FrameIncrementPointer == 0x00181065


def test_regions_are_the_panes_in_centimetres(tmp_path: Path) -> None:
    data = _written(tmp_path, "raw", np.arange(3) * 0.5)
    found = [
        (r.RegionLocationMinX0, r.RegionLocationMinY0, r.RegionLocationMaxX1 + 1, r.RegionLocationMaxY1 + 1)
        for r in data.SequenceOfUltrasoundRegions
    ]
    assert found == [LAYOUT.contrast, LAYOUT.bmode]
    assert all(r.PhysicalUnitsXDirection == 3 for r in data.SequenceOfUltrasoundRegions)
    assert data.SequenceOfUltrasoundRegions[0].PhysicalDeltaX == pytest.approx(0.125)
    assert "SequenceOfUltrasoundRegions" not in _written(tmp_path, "raw", np.arange(3) * 0.5, regions=False)


def test_headers_name_a_patient_to_be_removed(tmp_path: Path) -> None:
    data = _written(tmp_path, "raw", np.arange(3) * 0.5)
    assert data.SOPClassUID == pydicom.uid.UltrasoundMultiFrameImageStorage
    assert str(data.PatientName) == "ZHANG^WEI"
    assert data.PatientBirthDate == "19600203"


def test_same_input_same_bytes(tmp_path: Path) -> None:
    _written(tmp_path, "jpeg", np.arange(4) * 0.5)
    first = (tmp_path / "clip.dcm").read_bytes()
    _written(tmp_path, "jpeg", np.arange(4) * 0.5)
    assert (tmp_path / "clip.dcm").read_bytes() == first


@pytest.mark.parametrize(("suffix", "error"), [(".avi", 6), (".mp4", 12)])
def test_videos_have_all_frames(tmp_path: Path, suffix: str, error: float) -> None:
    path = tmp_path / f"clip{suffix}"
    write_video(path, _screens(7), 1.76)
    capture = cv2.VideoCapture(str(path))
    frames = []
    while (taken := capture.read())[0]:
        frames.append(taken[1][:, :, ::-1])
    assert len(frames) == 7
    assert np.abs(np.stack(frames).astype(int) - _screens(7)).mean() < error
    assert capture.get(cv2.CAP_PROP_FPS) == pytest.approx(1.76, rel=0.01)


def test_rle_packs_runs(tmp_path: Path) -> None:
    flat = np.zeros((40, 300, 3), np.uint8)
    assert len(encode_rle_frame(flat)) < flat.size / 30
