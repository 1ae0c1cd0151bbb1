"""Masks: PNG and NIfTI to the pixel, axes x, y, frame, labels, and files that claim or hold too much."""

from __future__ import annotations

import gzip
import tracemalloc
from pathlib import Path
from typing import Any

import cv2
import nibabel
import numpy as np
import numpy.typing as npt
import pytest
from made_outlines import COLUMNS, FRAMES, ROWS, SQUARE, nifti, painted, png

from client.data.outlines.outline import Outline, OutlineError, bounding_box, read_outline


def read_png(path: Path, mask: npt.NDArray[Any]) -> Outline:
    path.write_bytes(cv2.imencode(".png", mask)[1].tobytes())
    return read_outline(path, 0, "screen")


def read_nifti(path: Path, volume: npt.NDArray[Any], frame: int | None = None) -> Outline:
    nibabel.save(nibabel.Nifti1Image(volume, np.eye(4)), path)
    return read_outline(path, frame, "screen")


def reason_of(path: Path) -> str:
    with pytest.raises(OutlineError) as caught:
        read_outline(path, 3, "screen")
    return caught.value.reason


def test_a_mask_follows_an_irregular_border_to_the_pixel(tmp_path: Path) -> None:
    blob = np.zeros((ROWS, COLUMNS), np.uint8)
    cv2.ellipse(blob, (90, 60), (33, 17), 25.0, 0, 360, 255, -1)
    volume = np.zeros((COLUMNS, ROWS, 4), np.uint8)
    volume[:, :, 2] = blob.T
    for outline in (read_png(tmp_path / "m.png", blob), read_nifti(tmp_path / "m.nii.gz", volume)):
        filled = cv2.fillPoly(np.zeros_like(blob), [outline.polygon.astype(np.int32)], 255)
        assert np.array_equal(filled, blob)


@pytest.mark.parametrize("level", [1, 38, 127, 255])
def test_any_one_level_is_inside(tmp_path: Path, level: int) -> None:
    assert bounding_box(read_outline(png(tmp_path / "a.png", level=level), 3, "screen").polygon) == (30, 40, 60, 80)
    deep = painted().astype(np.uint16) * level
    assert bounding_box(read_png(tmp_path / "b.png", deep).polygon) == (30, 40, 60, 80)


def test_smoothed_borders_pass_and_labels_and_pictures_do_not(tmp_path: Path) -> None:
    smooth = cv2.blur(painted() * np.uint8(255), (3, 3))
    assert bounding_box(read_png(tmp_path / "a.png", smooth).polygon) == (30, 40, 60, 80)
    labels = painted()
    labels[90:110, 100:120] = 2
    picture = np.random.default_rng(1).integers(0, 255, (ROWS, COLUMNS), np.uint8)
    for odd in (labels, picture):
        with pytest.raises(OutlineError):
            read_png(tmp_path / "b.png", odd)


def test_broken_huge_empty_and_double_pngs_are_faults(tmp_path: Path) -> None:
    whole = png(tmp_path / "a.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[:40])
    (tmp_path / "text.png").write_bytes(b"no picture")
    (tmp_path / "huge.png").write_bytes(whole[:16] + (60_000).to_bytes(4, "big") * 2 + whole[24:])
    for name in ("cut.png", "text.png", "huge.png"):
        assert reason_of(tmp_path / name) == "unreadable-outline"
    two = painted() | painted([[100, 50], [130, 50], [130, 80], [100, 80]])
    with pytest.raises(OutlineError, match="one piece"):
        read_png(tmp_path / "two.png", two)
    speck = painted() | painted([[100, 50], [101, 50], [101, 51], [100, 51]])
    assert bounding_box(read_png(tmp_path / "speck.png", speck).polygon) == (30, 40, 60, 80)
    assert reason_of(png(tmp_path / "none.png", level=0)) == "empty-outline"


@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.dtype(">i2"), np.float32, np.float64])
def test_nifti_axes_are_x_y_frame(tmp_path: Path, kind: Any) -> None:
    """A mask of a wide screen: without the transpose it would lie on its side."""
    outline = read_outline(nifti(tmp_path / "a.nii.gz", kind=kind), None, "screen")
    assert outline.screen == (ROWS, COLUMNS)
    assert bounding_box(outline.polygon) == (30, 40, 60, 80)
    assert outline.frame == 3


def test_the_frame_is_the_painted_one_or_the_tables(tmp_path: Path) -> None:
    volume = np.zeros((COLUMNS, ROWS, FRAMES), np.uint8)
    volume[:, :, 5] = painted().T
    assert read_nifti(tmp_path / "a.nii", volume).frame == 5
    volume[:, :, 8] = painted([[100, 50], [130, 50], [130, 80], [100, 80]]).T
    assert bounding_box(read_nifti(tmp_path / "a.nii", volume, 8).polygon) == (100, 50, 130, 80)
    assert bounding_box(read_nifti(tmp_path / "a.nii", volume, 5).polygon) == (30, 40, 60, 80)
    for frame in (None, 4):
        with pytest.raises(OutlineError) as caught:
            read_nifti(tmp_path / "a.nii", volume, frame)
        assert caught.value.reason == "outline-frame-open"


@pytest.mark.parametrize("shape", [(COLUMNS, ROWS), (COLUMNS, ROWS, 1), (COLUMNS, ROWS, 1, 1)])
def test_a_mask_of_one_frame_leaves_the_frame_to_the_table(tmp_path: Path, shape: tuple[int, ...]) -> None:
    assert read_nifti(tmp_path / "a.nii", painted().T.reshape(shape), 11).frame == 11


def test_itk_snap_puts_the_frames_on_the_fourth_axis_too(tmp_path: Path) -> None:
    volume = np.zeros((COLUMNS, ROWS, 1, FRAMES), np.uint8)
    volume[:, :, 0, 4] = painted().T
    assert read_nifti(tmp_path / "a.nii.gz", volume).frame == 4


def test_nifti_2_is_read(tmp_path: Path) -> None:
    volume = np.zeros((COLUMNS, ROWS, FRAMES), np.uint8)
    volume[:, :, 4] = painted().T
    nibabel.save(nibabel.Nifti2Image(volume, np.eye(4)), tmp_path / "a.nii")
    assert read_outline(tmp_path / "a.nii", None, "screen").frame == 4


def test_cut_empty_and_odd_volumes_are_faults(tmp_path: Path) -> None:
    for name in ("a.nii", "a.nii.gz"):
        whole = nifti(tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(whole[: len(whole) // 2])
        assert reason_of(tmp_path / name) == "unreadable-outline"
    empty = np.zeros((COLUMNS, ROWS, 3), np.uint8)
    with pytest.raises(OutlineError) as caught:
        read_nifti(tmp_path / "b.nii", empty)
    assert caught.value.reason == "empty-outline"
    for volume in (np.zeros((20, 20, 5, 5), np.uint8), np.zeros((20, 20), np.complex64)):
        with pytest.raises(OutlineError) as caught:
            read_nifti(tmp_path / "c.nii", volume)
        assert caught.value.reason == "unreadable-outline"


def test_a_bomb_of_a_volume_is_refused_or_read_in_small_memory(tmp_path: Path) -> None:
    header = nibabel.Nifti1Header()
    header.set_data_shape((8000, 8000, 30_000))
    header.set_data_dtype(np.uint8)
    with gzip.open(tmp_path / "huge.nii.gz", "wb") as file:
        file.write(header.binaryblock + bytes(4))
    assert reason_of(tmp_path / "huge.nii.gz") == "unreadable-outline"
    header.set_data_shape((800, 600, 200))
    header["magic"] = b"n+1"
    with gzip.open(tmp_path / "long.nii.gz", "wb", compresslevel=1) as file:
        file.write(header.binaryblock + bytes(4))
        for _ in range(200):
            file.write(bytes(480_000))
    assert (tmp_path / "long.nii.gz").stat().st_size < 2**20
    tracemalloc.start()
    assert reason_of(tmp_path / "long.nii.gz") == "empty-outline"
    assert tracemalloc.get_traced_memory()[1] < 4 * 2**20  # of 96 MB
    tracemalloc.stop()


def test_the_made_square_is_what_the_tests_think(tmp_path: Path) -> None:
    assert painted(SQUARE).sum() == 31 * 41
