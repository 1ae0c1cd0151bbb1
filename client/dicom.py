"""Multi-frame ultrasound DICOM: pixels frame by frame, and only the tags of ALLOWED.

Everything else in the header (names, ids, dates, comments) is skipped while the file is read, so it never reaches
memory; warnings of the parser, which may quote values, are silenced for the same reason.
"""

from __future__ import annotations

import logging
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pydicom
import pydicom.config
from pydicom.dataset import Dataset
from pydicom.encaps import generate_frames
from pydicom.pixels.processing import apply_color_lut
from pydicom.pixels.utils import iter_pixels

from client import video
from client.recording import F64, RATE_REMEDY, U8, Box, ClipError, Recording, Region, constant_rate, unreadable

pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
logging.getLogger("pydicom").setLevel(logging.CRITICAL)

ALLOWED = (
    "Manufacturer",
    "SequenceOfUltrasoundRegions",
    "NumberOfFrames",
    "Rows",
    "Columns",
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "PlanarConfiguration",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
    "RedPaletteColorLookupTableDescriptor",
    "GreenPaletteColorLookupTableDescriptor",
    "BluePaletteColorLookupTableDescriptor",
    "RedPaletteColorLookupTableData",
    "GreenPaletteColorLookupTableData",
    "BluePaletteColorLookupTableData",
    "FrameTime",
    "FrameTimeVector",
    "CineRate",
    "RecommendedDisplayFrameRate",
)
_TWO_DIMENSIONAL = 1
_PICTURE_TYPES = (1, 2)
"""Region data types tissue and colour flow; SuperSonic states its contrast pane as the latter."""
_CENTIMETRES = 3
_MIN_SIDE_PX = 16
_SLACK_PX = 2
"""Headers count the last column in, or one too many; a box further outside belongs to another image size."""
_VIDEO_SYNTAXES = tuple(f"1.2.840.10008.1.2.4.10{digit}" for digit in range(9))
Convert = Callable[[npt.NDArray[Any]], U8]


def open(path: Path) -> Recording:
    """Opens a DICOM file. Raises ClipError for what is no decodable ultrasound clip."""
    header = _header(path)
    rows, columns = int(header.get("Rows") or 0), int(header.get("Columns") or 0)
    if min(rows, columns) < _MIN_SIDE_PX:
        raise unreadable("DICOM", "no image in the file")
    clock = _Clock.of(header)
    place = (rows, columns, str(header.get("Manufacturer") or ""), _regions(header, rows, columns))
    if str(header.file_meta.get("TransferSyntaxUID", "")).startswith(_VIDEO_SYNTAXES):
        return _Stream(*place, clock, _unpacked(path))
    return _Stack(*place, clock, path, int(header.get("NumberOfFrames") or 1), _converter(header))


def _header(path: Path) -> Dataset:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return pydicom.dcmread(path, specific_tags=list(ALLOWED), stop_before_pixels=True)
    except FileNotFoundError:
        raise ClipError(
            "missing-clip",
            "every clip of the table can be opened",
            "no such file",
            "put the file where the clips column says, or correct the cell",
        ) from None
    except Exception as error:  # pydicom raises a dozen types for damaged files; none of its text may pass
        raise unreadable("DICOM", f"a damaged header ({type(error).__name__})") from None


@dataclass(frozen=True)
class _Clock:
    """The times that a header states, ms and Hz; None where it states none."""

    vector: tuple[float, ...]
    interval: float | None
    rates: tuple[float, ...]

    @staticmethod
    def of(header: Dataset) -> _Clock:
        rates = (_positive(header.get("CineRate")), _positive(header.get("RecommendedDisplayFrameRate")))
        vector = header.get("FrameTimeVector")
        numbers = [] if vector is None else [float(v) for v in np.atleast_1d(np.asarray(vector, dtype=np.float64))]
        return _Clock(tuple(numbers), _positive(header.get("FrameTime")), tuple(r for r in rates if r))

    def seconds(self, frames: int, frame_rate_hz: float | None) -> F64:
        """FrameTimeVector, FrameTime, CineRate, RecommendedDisplayFrameRate, the manifest, in this order."""
        stamps = np.cumsum(np.array(self.vector, dtype=np.float64))[:frames] / 1000.0
        if frames > 0 and len(stamps) == frames and bool((np.diff(stamps) > 0).all()):
            # The first entry stands before the first frame: an offset of the whole clip, no interval.
            return np.asarray(stamps - stamps[0], dtype=np.float64)
        if self.interval is not None:
            return constant_rate(frames, 1000.0 / self.interval)
        rate = self.rates[0] if self.rates else frame_rate_hz
        if rate is None:
            raise ClipError("no-frame-times", "a clip states the times of its frames", "no usable tag", RATE_REMEDY)
        return constant_rate(frames, rate)


def _positive(value: object) -> float | None:
    try:
        number = float(str(value))
    except ValueError:
        return None
    return number if 0.0 < number < 1e6 else None


def _regions(header: Dataset, rows: int, columns: int) -> tuple[Region, ...]:
    found = (_region(item, rows, columns) for item in header.get("SequenceOfUltrasoundRegions") or ())
    return tuple(region for region in found if region is not None)


def _region(item: Dataset, rows: int, columns: int) -> Region | None:
    if item.get("RegionSpatialFormat") != _TWO_DIMENSIONAL or item.get("RegionDataType") not in _PICTURE_TYPES:
        return None
    try:
        x0, y0 = int(item.RegionLocationMinX0), int(item.RegionLocationMinY0)
        x1, y1 = int(item.RegionLocationMaxX1) + 1, int(item.RegionLocationMaxY1) + 1
    except (AttributeError, TypeError, ValueError):
        return None
    if x0 < 0 or y0 < 0 or x1 > columns + _SLACK_PX or y1 > rows + _SLACK_PX:
        return None  # the header of another image size (seen: SonoSite, 84-595 in 320 columns)
    box: Box = (x0, y0, min(x1, columns), min(y1, rows))
    if box[2] - box[0] < _MIN_SIDE_PX or box[3] - box[1] < _MIN_SIDE_PX:
        return None
    return Region(box, _mm_per_pixel(item))


def _mm_per_pixel(item: Dataset) -> float | None:
    """Deltas are in cm and may be negative (an axis that points up)."""
    delta = _positive(abs(float(item.get("PhysicalDeltaX") or 0.0)))
    return None if delta is None or item.get("PhysicalUnitsXDirection") != _CENTIMETRES else 10.0 * delta


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
    """Pixel data that pydicom decodes frame by frame."""

    rows: int
    columns: int
    manufacturer: str
    regions: tuple[Region, ...]
    clock: _Clock
    path: Path
    frames: int
    convert: Convert

    def glance(self) -> Sequence[U8]:
        wanted = sorted({self.frames // 4, self.frames // 2, 3 * self.frames // 4})
        return list(self._decoded(wanted))

    def pictures(self) -> Iterator[U8]:
        return self._decoded(None)

    def length(self) -> int:
        return self.frames

    def seconds(self, frames: int, frame_rate_hz: float | None) -> F64:
        return self.clock.seconds(frames, frame_rate_hz)

    def _decoded(self, indices: list[int] | None) -> Iterator[U8]:
        frames = iter_pixels(self.path, indices=indices)
        while (pixels := _next(frames)) is not None:
            yield self.convert(pixels)


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
    clock: _Clock
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
    """The stream in a file of its own, gone with the last reference to it."""

    recording: Recording
    folder: tempfile.TemporaryDirectory[str] = field(repr=False)


def _unpacked(path: Path) -> _Unpacked:
    folder = tempfile.TemporaryDirectory(prefix="fedceus-")
    stream = Path(folder.name) / "stream.mp4"
    try:
        pixels = pydicom.dcmread(path, specific_tags=["PixelData"]).PixelData
        stream.write_bytes(next(generate_frames(pixels, number_of_frames=1)))
    except Exception as error:  # as above
        raise unreadable("DICOM", f"damaged pixel data ({type(error).__name__})") from None
    return _Unpacked(video.open(stream), folder)
