"""Files of every transfer syntax, made by real encoders, give the pictures that went in; lossless ones exactly."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import numpy.typing as npt
import pytest
from made_clips import write_dicom
from PIL import Image
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.pixels import convert_color_space
from pydicom.pixels.utils import iter_pixels
from pydicom.uid import RLELossless

from client.data.imaging.clip import ClipError
from client.data.imaging.dicom import reader
from client.data.imaging.dicom.codecs import CODECS

Pixels = npt.NDArray[Any]
TIMES = {"FrameTime": 100.0}
JPEG, RLE = "1.2.840.10008.1.2.4.", "1.2.840.10008.1.2.5"


def speckle(dtype: str = "u1", bits: int = 8, samples: int = 3) -> Pixels:
    """Two frames (t h w 3) or (t h w) of smooth noise over the full range of `bits`."""
    draw = np.random.default_rng(1)
    coarse = draw.integers(0, 1 << bits, (2, 10, 13, samples))
    fine = np.kron(coarse, np.ones((1, 4, 4, 1), dtype=int)) // 2 + draw.integers(
        0, 1 << (bits - 1), (2, 40, 52, samples)
    )
    pixels: Pixels = fine.clip(0, (1 << bits) - 1).astype(dtype)
    return pixels if samples == 3 else pixels[..., 0]


def pictures(path: Path) -> Pixels:
    return np.stack([picture.copy() for picture in reader.open(path).pictures()])


def pillow(pixels: Pixels) -> bytes:
    """JPEG 2000 by Pillow, reversible."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG2000", irreversible=False, no_jp2=True)
    return buffer.getvalue()


def lossless_jpeg(pixels: Pixels) -> bytes:
    """JPEG process 14, predictor 1, with no change of colours."""
    colours = {} if pixels.ndim == 2 else {"colorspace": "rgb", "outcolorspace": "rgb"}
    return imagecodecs.jpeg8_encode(pixels, lossless=True, predictor=1, **colours)


def tags_of(pixels: Pixels, bits: int) -> dict[str, Any]:
    whole = 8 * pixels.dtype.itemsize
    size = {"NumberOfFrames": len(pixels), "Rows": pixels.shape[1], "Columns": pixels.shape[2]}
    return {**TIMES, **size, "BitsAllocated": whole, "BitsStored": bits, "HighBit": bits - 1}


LOSSLESS: dict[str, Callable[[Pixels], bytes]] = {
    f"{JPEG}57": lambda p: imagecodecs.jpeg8_encode(p, lossless=True, predictor=4, **_plain(p)),
    f"{JPEG}70": lossless_jpeg,
    f"{JPEG}80": imagecodecs.jpegls_encode,
    f"{JPEG}90": pillow,
    f"{JPEG}201": imagecodecs.htj2k_encode,
}


def _plain(pixels: Pixels) -> dict[str, str]:
    return {} if pixels.ndim == 2 else {"colorspace": "rgb", "outcolorspace": "rgb"}


@pytest.mark.parametrize("syntax", sorted(LOSSLESS))
def test_lossless_colours_are_exact(tmp_path: Path, syntax: str) -> None:
    rgb = speckle()
    kind = {f"{JPEG}90": "YBR_RCT", f"{JPEG}201": "YBR_RCT"}.get(syntax, "RGB")
    path = write_dicom(tmp_path / "a.dcm", [LOSSLESS[syntax](p) for p in rgb], kind, tags_of(rgb, 8), syntax)
    assert np.array_equal(pictures(path), rgb)


@pytest.mark.parametrize("syntax", sorted(LOSSLESS))
@pytest.mark.parametrize(("dtype", "bits"), [("u1", 8), ("u2", 10), ("u2", 12), ("u2", 16)])
def test_lossless_grey_of_8_to_16_bits_is_exact(tmp_path: Path, syntax: str, dtype: str, bits: int) -> None:
    grey = speckle(dtype, bits, samples=1)
    frames = [LOSSLESS[syntax](p) for p in grey]
    path = write_dicom(tmp_path / "a.dcm", frames, "MONOCHROME2", tags_of(grey, bits), syntax)
    assert np.array_equal(pictures(path)[..., 1], grey >> (bits - 8))


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2", RLE])
@pytest.mark.parametrize("kind", ["RGB", "MONOCHROME2", "sixteen", "planes"])
def test_native_and_rle_are_exact(tmp_path: Path, syntax: str, kind: str) -> None:
    """RLE by pydicom's own encoder; "planes" is RGB with PlanarConfiguration 1, which RLE always is."""
    rgb, grey = speckle(), speckle("u2", 12, samples=1)
    big = syntax.endswith("1.2.2")
    if kind == "sixteen":
        stored, tags = grey.astype(">u2" if big else "<u2"), {**TIMES, "BitsStored": 12, "HighBit": 11}
        expected = np.repeat((grey >> 4)[..., None], 3, axis=-1).astype(np.uint8)
    elif kind == "MONOCHROME2":
        stored, tags, expected = rgb[..., 0], dict(TIMES), np.repeat(rgb[..., :1], 3, axis=-1)
    else:
        planes = kind == "planes" and syntax != RLE
        shown = rgb.transpose(0, 3, 1, 2).reshape(rgb.shape) if planes else rgb
        stored, tags, expected = shown, {**TIMES, "PlanarConfiguration": int(planes)}, rgb
    photometric = "MONOCHROME2" if kind in ("sixteen", "MONOCHROME2") else "RGB"
    native = "1.2.840.10008.1.2.1" if syntax == RLE else syntax
    path = write_dicom(tmp_path / "a.dcm", np.ascontiguousarray(stored), photometric, tags, native)
    if syntax == RLE:
        data = dcmread(path)
        data.compress(RLELossless)
        data.save_as(path)
    assert np.array_equal(pictures(path), expected)


@pytest.mark.parametrize("syntax", [f"{JPEG}57", f"{JPEG}80", RLE])
def test_ybr_in_a_lossless_syntax_is_turned_once(tmp_path: Path, syntax: str) -> None:
    """These codecs keep the samples as they are; pydicom's own conversion is the oracle."""
    ybr = speckle()
    if syntax == RLE:
        path = write_dicom(tmp_path / "a.dcm", ybr, "YBR_FULL", TIMES)
        data = dcmread(path)
        data.compress(RLELossless)
        data.save_as(path)
    else:
        frames = [LOSSLESS[syntax](p) for p in ybr]
        path = write_dicom(tmp_path / "a.dcm", frames, "YBR_FULL", tags_of(ybr, 8), syntax)
    expected = convert_color_space(ybr, "YBR_FULL", "RGB")
    assert np.abs(pictures(path).astype(int) - expected).max() <= 1  # both round, one of them twice


@pytest.mark.parametrize("syntax", [f"{JPEG}81", f"{JPEG}91", f"{JPEG}203"])
def test_near_lossless_frames_are_near(tmp_path: Path, syntax: str) -> None:
    rgb = speckle()
    encode: Callable[[Pixels], bytes] = {
        f"{JPEG}81": lambda p: imagecodecs.jpegls_encode(p, level=2),
        f"{JPEG}91": lambda p: imagecodecs.jpeg2k_encode(p, level=45, codecformat="j2k", reversible=False),
        f"{JPEG}203": lambda p: imagecodecs.htj2k_encode(p, level=0.002, reversible=False),
    }[syntax]
    kind = "RGB" if syntax.endswith("81") else "YBR_ICT"
    path = write_dicom(tmp_path / "a.dcm", [encode(p) for p in rgb], kind, tags_of(rgb, 8), syntax)
    error = np.abs(pictures(path).astype(int) - rgb)
    assert error.max() <= (2 if syntax.endswith("81") else 12)
    assert error.mean() < 3


@pytest.mark.parametrize("syntax", [f"{JPEG}50", f"{JPEG}51"])
@pytest.mark.parametrize("kind", ["YBR_FULL_422", "RGB", "MONOCHROME2"])
def test_jpeg_is_what_pillow_decodes(tmp_path: Path, syntax: str, kind: str) -> None:
    """RGB without a marker is told by the header alone: a JPEG decoder would take it for YBR."""
    rgb = speckle()[..., :1].repeat(3, axis=-1) if kind == "MONOCHROME2" else speckle()
    if kind == "RGB":
        frames = [imagecodecs.jpeg8_encode(p, level=95, colorspace="rgb", outcolorspace="rgb") for p in rgb]
        frames = [_unmarked(frame) for frame in frames]
        expected = rgb
    else:
        frames = [_by_pillow(p if kind != "MONOCHROME2" else p[..., 0]) for p in rgb]
        expected = np.stack([np.asarray(Image.open(io.BytesIO(frame)).convert("RGB")) for frame in frames])
    path = write_dicom(tmp_path / "a.dcm", frames, kind, tags_of(rgb, 8), syntax)
    error = np.abs(pictures(path).astype(int) - expected)
    assert error.mean() < (4 if kind == "RGB" else 1)


def _by_pillow(pixels: Pixels) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=92)
    return buffer.getvalue()


def _unmarked(jpeg: bytes) -> bytes:
    """Without its JFIF or Adobe segment, and with components 1, 2, 3, as scanners write RGB."""
    for marker in (b"\xff\xe0", b"\xff\xee"):
        at = jpeg.find(marker, 0, 64)
        if at > 0:
            jpeg = jpeg[:at] + jpeg[at + 2 + int.from_bytes(jpeg[at + 2 : at + 4], "big") :]
    content = bytearray(jpeg)
    frame, scan = content.find(b"\xff\xc0"), content.find(b"\xff\xda")
    for number in range(3):
        content[frame + 10 + 3 * number] = content[scan + 5 + 2 * number] = number + 1
    return bytes(content)


def test_jpeg_of_12_bits_is_read() -> None:
    """The bundled file, whose other decoders refuse it; its levels run over the whole range of its tissue."""
    shown = pictures(Path(str(get_testdata_file("JPEG-lossy.dcm", download=False))))
    assert shown.shape == (1, 1024, 256, 3)
    reference = dcmread(get_testdata_file("JPEG2000.dcm", download=False))  # the same bone scan, by another codec
    theirs = np.clip(next(iter_pixels(reference)).astype(int) >> 4, 0, 255)
    assert np.corrcoef(shown[0, ..., 0].ravel(), theirs.ravel())[0, 1] > 0.9


BUNDLED = (
    "SC_rgb_jpeg_dcmtk.dcm", "SC_rgb_jpeg_lossy_gdcm.dcm", "SC_rgb_jpeg_app14_dcmd.dcm", "SC_rgb_dcmtk_+eb+cr.dcm",
    "SC_rgb_dcmtk_+eb+cy+n1.dcm", "SC_rgb_dcmtk_+eb+cy+np.dcm", "SC_rgb_dcmtk_+eb+cy+s4.dcm", "SC_rgb_gdcm_KY.dcm",
    "SC_jpeg_no_color_transform.dcm", "SC_jpeg_no_color_transform_2.dcm", "SC_rgb_rle_2frame.dcm",
    "SC_ybr_full_422_uncompressed.dcm", "ExplVR_BigEnd.dcm", "examples_rgb_color.dcm", "examples_jpeg2k.dcm",
)  # fmt: skip


@pytest.mark.parametrize("name", BUNDLED)
def test_real_files_are_what_pydicom_decodes(name: str) -> None:
    path = Path(str(get_testdata_file(name, download=False)))
    assert np.array_equal(pictures(path), np.stack(list(iter_pixels(path))))


def test_a_frame_of_another_size_is_refused_before_it_is_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A JPEG, JPEG-LS or JPEG 2000 header of 60000 x 60000 would have its codec ask for 10 GB."""
    rgb = speckle()
    monkeypatch.setattr(imagecodecs, "jpeg8_decode", None)
    monkeypatch.setattr(imagecodecs, "jpegls_decode", None)
    monkeypatch.setattr(imagecodecs, "jpeg2k_decode", None)
    sizes = {f"{JPEG}50": (_by_pillow, b"\xff\xc0", 5, 2), f"{JPEG}80": (LOSSLESS[f"{JPEG}80"], b"\xff\xf7", 5, 2)}
    sizes[f"{JPEG}90"] = (pillow, b"\xff\x4f\xff\x51", 8, 4)
    for syntax, (encode, mark, offset, width) in sizes.items():
        frame = bytearray(encode(rgb[0]))
        at = frame.index(mark) + offset
        frame[at : at + 2 * width] = (60000).to_bytes(width, "big") * 2
        tags = {**tags_of(rgb, 8), "NumberOfFrames": 1}
        path = write_dicom(tmp_path / "a.dcm", [bytes(frame)], "RGB", tags, syntax)
        with pytest.raises(ClipError, match="another size"):
            pictures(path)


def test_every_still_syntax_of_the_standard_for_ultrasound_has_a_codec() -> None:
    assert {f"{JPEG}{n}" for n in (50, 51, 57, 70, 80, 81, 90, 91, 201, 202, 203)} | {RLE} == set(CODECS)
