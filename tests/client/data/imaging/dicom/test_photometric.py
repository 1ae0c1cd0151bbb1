"""Colours: palettes of 8 and 16 bits and in segments, inverted greys, and no second turn of what is RGB already."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from made_clips import write_dicom
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.pixels import apply_color_lut, convert_color_space
from pydicom.pixels.utils import iter_pixels

from client.data.imaging.clip import ClipError
from client.data.imaging.dicom import reader
from client.data.imaging.dicom.photometric import make_converter

TIMES = {"FrameTime": 100.0}
INDICES = np.tile(np.arange(128, dtype=np.uint8), (2, 64, 1))
RAMP = np.arange(256, dtype=np.uint16)


def pictures(path: Path) -> npt.NDArray[Any]:
    return np.stack([picture.copy() for picture in reader.open(path).pictures()])


def header(kind: str, **tags: object) -> Dataset:
    found = Dataset()
    found.PhotometricInterpretation = kind
    for name, value in tags.items():
        setattr(found, name, value)
    return found


@pytest.mark.parametrize("bits", [8, 16])
def test_palettes_become_colours(tmp_path: Path, bits: int) -> None:
    """A 16-bit table has its colour in the high byte."""
    tags: dict[str, object] = dict(TIMES)
    for colour, values in (("Red", RAMP), ("Green", RAMP[::-1]), ("Blue", RAMP // 2)):
        stored = values.astype("u1") if bits == 8 else (values << 8).astype("<u2")
        tags[f"{colour}PaletteColorLookupTableDescriptor"] = [256, 0, bits]
        tags[f"{colour}PaletteColorLookupTableData"] = stored.tobytes()
    seen = pictures(write_dicom(tmp_path / "a.dcm", INDICES, "PALETTE COLOR", tags))
    assert seen[1, 5, 100].tolist() == [100, 155, 50]


def test_a_palette_in_segments_becomes_colours(tmp_path: Path) -> None:
    """One discrete entry, then a linear segment up to the top (PS3.3 C.7.9.2)."""
    tags: dict[str, object] = dict(TIMES)
    for colour, top in (("Red", 255), ("Green", 128), ("Blue", 0)):
        tags[f"{colour}PaletteColorLookupTableDescriptor"] = [256, 0, 16]
        segments = np.array([0, 1, 0, 1, 255, top << 8], dtype="<u2")
        tags[f"Segmented{colour}PaletteColorLookupTableData"] = segments.tobytes()
    seen = pictures(write_dicom(tmp_path / "a.dcm", INDICES, "PALETTE COLOR", tags))
    assert np.abs(seen[0, 0, :, 0].astype(int) - np.arange(128)).max() <= 1
    assert np.abs(seen[0, 0, :, 1].astype(int) - np.arange(128) // 2).max() <= 1
    assert seen[..., 2].max() == 0


def test_the_real_palette_file_is_not_left_as_indices() -> None:
    path = Path(str(get_testdata_file("examples_palette.dcm", download=False)))
    data = Dataset()
    indices = next(iter_pixels(path, ds_out=data))
    expected = apply_color_lut(indices, data)
    expected = (expected >> 8).astype(np.uint8) if expected.dtype == np.uint16 else expected
    assert np.array_equal(pictures(path)[0], expected)
    assert len(np.unique(pictures(path)[0].reshape(-1, 3), axis=0)) > 20


def test_ybr_is_turned_once_and_rgb_never() -> None:
    draw = np.random.default_rng(0)
    samples = draw.integers(0, 256, (40, 50, 3)).astype(np.uint8)
    turned = make_converter(header("YBR_FULL"), turned=False)(samples)
    assert np.abs(turned.astype(int) - convert_color_space(samples, "YBR_FULL", "RGB")).max() <= 1
    for kind, by_codec in (("YBR_FULL_422", True), ("YBR_RCT", True), ("YBR_ICT", True), ("RGB", False)):
        assert np.array_equal(make_converter(header(kind), by_codec)(samples), samples)
    black = np.zeros((2, 2, 3), np.uint8) + np.array([0, 128, 128], np.uint8)
    assert make_converter(header("YBR_FULL"), turned=False)(black).max() == 0  # a second turn makes it green


@pytest.mark.parametrize("bits", [8, 10, 12, 16])
@pytest.mark.parametrize("signed", [False, True])
def test_greys_of_any_depth_and_sign(bits: int, signed: bool) -> None:
    levels = np.arange(256)[None]
    stored = (levels << (bits - 8)) - ((1 << (bits - 1)) if signed else 0)
    samples = stored.astype(np.int16 if signed else np.uint16)
    for kind, expected in (("MONOCHROME2", levels), ("MONOCHROME1", 255 - levels)):
        found = make_converter(header(kind, BitsStored=bits, PixelRepresentation=int(signed)), turned=False)(samples)
        assert np.array_equal(found[..., 0], expected)
        assert found.shape == (1, 256, 3)


@pytest.mark.parametrize("kind", ["ARGB", "", "HSV"])
def test_colours_of_no_scanner_are_refused(kind: str) -> None:
    with pytest.raises(ClipError, match="colours"):
        make_converter(header(kind), turned=False)
