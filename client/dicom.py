"""Multi-frame ultrasound DICOM, decoded frame by frame to RGB. `dicom_header` reads the allowed tags."""

from __future__ import annotations

import os
import warnings
import weakref
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np
import numpy.typing as npt
import pydicom
from pydicom.dataset import Dataset
from pydicom.encaps import generate_frames
from pydicom.pixels.processing import apply_color_lut
from pydicom.pixels.utils import iter_pixels

from client import video
from client.dicom_header import MIN_SIDE_PX, Clock, read_header, regions_of
from client.recording import F64, U8, ClipError, Recording, Region, unreadable

_VIDEO_SYNTAXES = tuple(f"1.2.840.10008.1.2.4.10{digit}" for digit in range(9))
_JPEG_BASELINE = "1.2.840.10008.1.2.4.50"
_JPEG_HEAD = 4096
_JPEG_END = b"\xff\xd9"
_JPEG_FLAGS = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
Convert = Callable[[npt.NDArray[Any]], U8]
Decode = Callable[[Sequence[int] | None], Iterator[U8]]


def open(path: Path) -> Recording:
    """Opens a DICOM file. Raises ClipError for what is no decodable ultrasound clip."""
    header = read_header(path)
    rows, columns = int(header.get("Rows") or 0), int(header.get("Columns") or 0)
    if min(rows, columns) < MIN_SIDE_PX:
        raise unreadable("DICOM", "no image in the file")
    clock = Clock.of(header)
    place = (rows, columns, str(header.get("Manufacturer") or ""), regions_of(header, rows, columns))
    if str(header.file_meta.get("TransferSyntaxUID", "")).startswith(_VIDEO_SYNTAXES):
        return _Stream(*place, clock, _unpacked(path))
    frames = max(1, int(header.get("NumberOfFrames") or 1))
    return _Stack(*place, clock, frames, _decoder(path, header, frames))


def _converter(header: Dataset) -> Convert:
    """From what pydicom decodes to RGB u8. pydicom has turned YBR_* into RGB already: a second turn would tint it."""
    kind = str(header.get("PhotometricInterpretation") or "").strip()
    if kind == "PALETTE COLOR":
        return _palette(header)
    bits, signed = int(header.get("BitsStored") or 8), header.get("PixelRepresentation") == 1
    if kind in ("MONOCHROME1", "MONOCHROME2"):
        return lambda pixels: _grey(pixels, bits, signed, kind == "MONOCHROME1")
    return _rgb


def _rgb(pixels: npt.NDArray[Any]) -> U8:
    if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != np.uint8:
        raise unreadable("DICOM", "colours that are not three channels of 8 bits")
    return pixels


def _grey(pixels: npt.NDArray[Any], bits: int, signed: bool, inverted: bool) -> U8:
    if pixels.ndim != 2:
        raise unreadable("DICOM", "grey levels with several channels")
    if pixels.dtype != np.uint8:
        raised = pixels.astype(np.int64) + (1 << (bits - 1) if signed else 0)
        pixels = (raised >> max(0, bits - 8)).clip(0, 255).astype(np.uint8)
    levels = np.asarray(255 - pixels if inverted else pixels, dtype=np.uint8)
    return np.broadcast_to(levels[:, :, None], (*levels.shape, 3))


def _palette(header: Dataset) -> Convert:
    indices = np.arange(1 << int(header.get("BitsAllocated") or 8))
    try:
        table = apply_color_lut(indices.astype(np.uint8 if len(indices) == 256 else np.uint16), header)
    except Exception:  # as above: any type, no text of it may pass
        raise unreadable("DICOM", "a palette image without a usable palette") from None
    if table.dtype != np.uint8:
        # 16-bit tables hold the colour in the high byte; some makers left it in the low one.
        table = (table >> (8 if table.max() > 255 else 0)).astype(np.uint8)
    return lambda pixels: np.asarray(table[pixels], dtype=np.uint8)


@dataclass(frozen=True)
class _Stack:
    """Pixel data in which every frame stands by itself. decode: the frames of given indices, None = all."""

    rows: int
    columns: int
    manufacturer: str
    regions: tuple[Region, ...]
    clock: Clock
    frames: int
    decode: Decode

    def glance(self) -> Sequence[U8]:
        return list(self.decode(sorted({self.frames // 4, self.frames // 2, 3 * self.frames // 4})))

    def pictures(self) -> Iterator[U8]:
        return self.decode(None)

    def length(self) -> int:
        return self.frames

    def seconds(self, frames: int, frame_rate_hz: float | None) -> F64:
        return self.clock.seconds(frames, frame_rate_hz)


def _decoder(path: Path, header: Dataset, frames: int) -> Decode:
    syntax = str(header.file_meta.get("TransferSyntaxUID", ""))
    kind = str(header.get("PhotometricInterpretation") or "").strip()
    if syntax == _JPEG_BASELINE and kind in ("YBR_FULL", "YBR_FULL_422"):
        jpegs = _jpegs(path, frames)
        if b"Adobe" not in jpegs[0][:_JPEG_HEAD]:
            return partial(_by_opencv, jpegs, (int(header.Rows), int(header.Columns), 3))
    return partial(_by_pydicom, path, _converter(header))


def _by_pydicom(path: Path, convert: Convert, indices: Sequence[int] | None) -> Iterator[U8]:
    frames = iter_pixels(path, indices=indices)
    while (pixels := _next(frames)) is not None:
        yield convert(pixels)


def _by_opencv(jpegs: Sequence[bytes], shape: tuple[int, int, int], indices: Sequence[int] | None) -> Iterator[U8]:
    """Three times faster than pydicom with Pillow, whose YBR to RGB runs in NumPy; the same colours but for rounding.

    Not for JPEGs with an Adobe marker, which may say other colours than the DICOM header.
    """
    for index in range(len(jpegs)) if indices is None else indices:
        whole = jpegs[index].rstrip(b"\0").endswith(_JPEG_END)
        picture = cv2.imdecode(np.frombuffer(jpegs[index], dtype=np.uint8), _JPEG_FLAGS) if whole else None
        if picture is None or picture.shape != shape:
            raise unreadable("DICOM", "a damaged JPEG frame")
        yield cast(U8, picture[:, :, ::-1])  # OpenCV gives BGR


def _jpegs(path: Path, frames: int) -> list[bytes]:
    try:
        tags = ["PixelData", "ExtendedOffsetTable", "ExtendedOffsetTableLengths"]
        data = pydicom.dcmread(path, specific_tags=list(tags))
        table = data.get("ExtendedOffsetTable")
        offsets = None if table is None else (table, data.ExtendedOffsetTableLengths)
        found = list(generate_frames(data.PixelData, number_of_frames=frames, extended_offsets=offsets))
    except Exception as error:  # as below: any type, no text of it may pass
        raise unreadable("DICOM", f"damaged pixel data ({type(error).__name__})") from None
    if len(found) < frames:
        raise unreadable("DICOM", f"{len(found)} of {frames} frames")
    return found[:frames]


def _next(frames: Iterator[npt.NDArray[Any]]) -> npt.NDArray[Any] | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return next(frames, None)
    except NotImplementedError:
        raise unreadable("DICOM", "a compression without a decoder here") from None
    except Exception as error:  # decoders raise anything on damaged data; none of their text may pass
        raise unreadable("DICOM", f"damaged pixel data ({type(error).__name__})") from None


@dataclass(frozen=True)
class _Stream:
    """Pixel data that is an MPEG or H.264 stream, decoded like a video file; times come from the header."""

    rows: int
    columns: int
    manufacturer: str
    regions: tuple[Region, ...]
    clock: Clock
    unpacked: _Unpacked

    def glance(self) -> Sequence[U8]:
        return self.unpacked.recording.glance()

    def pictures(self) -> Iterator[U8]:
        return self.unpacked.recording.pictures()

    def length(self) -> int:
        return self.unpacked.recording.length()

    def seconds(self, frames: int, frame_rate_hz: float | None) -> F64:
        return self.clock.seconds(frames, frame_rate_hz)


@dataclass(frozen=True)
class _Unpacked:
    """The stream as a file in memory, gone with the last reference to it: uncropped screens are never written out."""

    recording: Recording
    descriptor: int


def _unpacked(path: Path) -> _Unpacked:
    try:
        pixels = pydicom.dcmread(path, specific_tags=["PixelData"]).PixelData
        content = next(generate_frames(pixels, number_of_frames=1))
    except Exception as error:  # as above
        raise unreadable("DICOM", f"damaged pixel data ({type(error).__name__})") from None
    descriptor = os.memfd_create("stream")
    with os.fdopen(os.dup(descriptor), "wb") as file:
        file.write(content)
    try:
        unpacked = _Unpacked(video.open(Path(f"/proc/self/fd/{descriptor}")), descriptor)
    except ClipError:
        os.close(descriptor)
        raise
    weakref.finalize(unpacked, os.close, descriptor)
    return unpacked
