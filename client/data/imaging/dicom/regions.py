"""The ultrasound regions that a DICOM header states (PS3.3 C.8.5.5): boxes of the panes and their spacing.

Real headers state boxes of another image size, boxes that leave the image, negative spacing, and spacing that no
transducer has; ceus.md §5.1 lists where each was seen.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from pydicom.dataset import Dataset

from client.data.imaging.recording import MIN_SIDE_PX, Box, Region

_TWO_DIMENSIONAL = 1
_PICTURE_TYPES = (1, 2)
"""Region data types tissue and colour flow; SuperSonic states its contrast pane as the latter."""
_CENTIMETRES = 3
_SLACK_PX = 2
"""Headers count the last column in, or one too many."""
_SIZES = (
    *((480, 640), (576, 720), (576, 768), (600, 800), (720, 960), (720, 1280), (768, 1024), (960, 1280)),
    *((1024, 1280), (1050, 1400), (1050, 1680), (1080, 1440), (1080, 1920), (1200, 1600), (1200, 1920)),
)
"""Rows and columns of scanners' screens: what a header speaks of whose image was made smaller."""
_SAME_ASPECT = 0.01
_KEPT = 0.5
"""A box of which less than this share lies in the image is of another image."""
_DEPTH_MM = (10.0, 500.0)
"""The height of a pane: less or more is no ultrasound picture, so its spacing is wrong."""

_Stated = tuple[float, float, float, float]


def list_regions(header: Dataset, rows: int, columns: int) -> tuple[Region, ...]:
    """The two-dimensional picture regions on a screen of rows x columns.

    Boxes that leave the image are scaled where the header speaks of a larger screen of the same shape, else cut.
    """
    stated = list(_list_stated(header))
    scale = _compute_scale([box for box, _ in stated], rows, columns)
    found = (_convert_region(box, item, scale, (rows, columns)) for box, item in stated)
    return tuple(region for region in found if region is not None)


def _list_stated(header: Dataset) -> Iterator[tuple[_Stated, Dataset]]:
    items = header.get("SequenceOfUltrasoundRegions") or ()
    for item in items if not isinstance(items, (str, bytes)) else ():
        try:
            if int(item.RegionSpatialFormat) != _TWO_DIMENSIONAL or int(item.RegionDataType) not in _PICTURE_TYPES:
                continue
            x0, y0 = int(item.RegionLocationMinX0), int(item.RegionLocationMinY0)
            x1, y1 = int(item.RegionLocationMaxX1) + 1, int(item.RegionLocationMaxY1) + 1
        except (AttributeError, TypeError, ValueError):
            continue  # a region without a place or a kind says nothing
        if 0 <= x0 < x1 and 0 <= y0 < y1:
            yield (x0, y0, x1, y1), item


def _compute_scale(boxes: list[_Stated], rows: int, columns: int) -> float:
    """By what the header's boxes must be multiplied: below 1 where they are of a larger screen of the same shape."""
    right = max((box[2] for box in boxes), default=0)
    bottom = max((box[3] for box in boxes), default=0)
    if right <= columns + _SLACK_PX and bottom <= rows + _SLACK_PX:
        return 1.0
    for tall, wide in _SIZES:
        alike = abs(tall * columns / (wide * rows) - 1) <= _SAME_ASPECT
        if alike and columns < wide and right <= wide + _SLACK_PX and bottom <= tall + _SLACK_PX:
            return columns / wide
    return 1.0


def _convert_region(stated: _Stated, item: Dataset, scale: float, screen: tuple[int, int]) -> Region | None:
    rows, columns = screen
    # rounded inwards, so that no rim of the screen comes into a pane
    x0, y0 = (math.ceil(scale * value - 1e-6) for value in stated[:2])
    x1, y1 = (math.floor(scale * value + 1e-6) for value in stated[2:])
    box: Box = (x0, y0, min(x1, columns), min(y1, rows))
    width, height = box[2] - box[0], box[3] - box[1]
    if min(width, height) < MIN_SIDE_PX or width * height < _KEPT * (x1 - x0) * (y1 - y0):
        return None
    return Region(box, _compute_mm_per_pixel(item, scale, y1 - y0))


def _compute_mm_per_pixel(item: Dataset, scale: float, height: int) -> float | None:
    """Deltas are in cm and may be negative (an axis that points up)."""
    try:
        units, delta = int(item.PhysicalUnitsXDirection), abs(float(item.PhysicalDeltaX))
    except (AttributeError, TypeError, ValueError):
        return None
    mm = 10.0 * delta / scale
    return mm if units == _CENTIMETRES and _DEPTH_MM[0] <= mm * height <= _DEPTH_MM[1] else None
