"""What we read of a DICOM header: the tags of ALLOWED, the times of the frames, the ultrasound regions.

Everything else (names, ids, dates, comments) is skipped while the file is read, so it never reaches memory; warnings
of the parser, which may quote values, are silenced for the same reason.
"""

from __future__ import annotations

import logging
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
import pydicom.config
from pydicom.dataset import Dataset

from client.recording import F64, RATE_REMEDY, Box, ClipError, Region, constant_rate, unreadable

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
MIN_SIDE_PX = 16
_SLACK_PX = 2
"""Headers count the last column in, or one too many; a box further outside belongs to another image size."""


def read_header(path: Path) -> Dataset:
    """The allowed tags of a file, without its pixels. Raises ClipError."""
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
class Clock:
    """The times that a header states, ms and Hz; None where it states none."""

    vector: tuple[float, ...]
    interval: float | None
    rates: tuple[float, ...]

    @staticmethod
    def of(header: Dataset) -> Clock:
        """The times of a header."""
        rates = (_positive(header.get("CineRate")), _positive(header.get("RecommendedDisplayFrameRate")))
        vector = header.get("FrameTimeVector")
        numbers = [] if vector is None else [float(v) for v in np.atleast_1d(np.asarray(vector, dtype=np.float64))]
        return Clock(tuple(numbers), _positive(header.get("FrameTime")), tuple(r for r in rates if r))

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


def regions_of(header: Dataset, rows: int, columns: int) -> tuple[Region, ...]:
    """The two-dimensional picture regions that lie inside a screen of rows x columns."""
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
    if box[2] - box[0] < MIN_SIDE_PX or box[3] - box[1] < MIN_SIDE_PX:
        return None
    return Region(box, _mm_per_pixel(item))


def _mm_per_pixel(item: Dataset) -> float | None:
    """Deltas are in cm and may be negative (an axis that points up)."""
    delta = _positive(abs(float(item.get("PhysicalDeltaX") or 0.0)))
    return None if delta is None or item.get("PhysicalUnitsXDirection") != _CENTIMETRES else 10.0 * delta
