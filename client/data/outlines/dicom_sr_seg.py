"""Outlines in DICOM: structured reports (TID 1500, SCOORD) and segmentations (SEG). DICOM counts frames from 1.

Of a report only the spatial coordinates and the frames they refer to are looked at; its texts, names and dates stay
unread bytes, and nothing of them leaves the function that opened the file.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.dataset import Dataset
from pydicom.filereader import read_file_meta_info
from pydicom.pixels.utils import iter_pixels
from pydicom.uid import DeflatedExplicitVRLittleEndian

from client.data.outlines.annotation import (
    CORNER_PX,
    F64,
    MAX_BYTES,
    Drawing,
    OutlineError,
    Shape,
    Wanted,
    check_sides,
    make_drawing,
    malformed_error,
    read_bytes,
    select_lesion,
    trace_contour,
)
from client.data.outlines.shapes import trace_circle, trace_ellipse

_SR_TAGS = ("Modality", "ContentSequence")
_SEG_TAGS = (
    "Modality",
    "SegmentationType",
    "SegmentSequence",
    "PerFrameFunctionalGroupsSequence",
    "NumberOfFrames",
    "Rows",
    "Columns",
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
    "PixelData",
)
_MAX_SEG_FRAMES = 10_000
_MAX_ITEMS = 100_000


def read_dicom(path: Path, wanted: Wanted) -> Drawing:
    """The lesion of a structured report or a segmentation. Raises OutlineError."""
    read_bytes(path)  # says that it is missing or too large
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if read_file_meta_info(path).get("TransferSyntaxUID") == DeflatedExplicitVRLittleEndian:
                raise malformed_error(
                    "an outline's DICOM file is not deflated", "a deflated one, which can unfold at will"
                )
            dataset = pydicom.dcmread(path, specific_tags=[*{*_SR_TAGS, *_SEG_TAGS}])
            reader = _OBJECTS.get(str(dataset.get("Modality", "")))
            if reader is None:
                raise malformed_error(
                    "a .dcm outline is a structured report (SR) or a segmentation (SEG)", "another object"
                )
            return reader(dataset, wanted)
    except OutlineError:
        raise
    except Exception as error:  # pydicom raises a dozen types for damaged files; none of its text may pass
        raise malformed_error("a .dcm outline is complete", f"a damaged one ({type(error).__name__})") from None


def _read_report(dataset: Dataset, wanted: Wanted) -> Drawing:
    shapes: list[Shape] = []
    for item in _walk_content(dataset):
        if item.get("ValueType") == "SCOORD":
            points, open_kind = _trace(str(item.get("GraphicType", "")), _parse_points(item))
            shapes.extend(Shape(None, points, frame, open_kind=open_kind) for frame in _list_frames(item))
    drawing = make_drawing(select_lesion(shapes, wanted), CORNER_PX)
    return replace(drawing, on_clip=True)  # spatial coordinates are in the pixels of the image that they refer to


def _trace(kind: str, points: list[list[float]]) -> tuple[F64 | list[list[float]], str]:
    """The polygon (n 2) of an item, and what it is where it encloses nothing (DICOM PS3.3 C.18.6.1.1)."""
    if kind == "POLYLINE" and len(points) > 2:
        return points, ""
    if kind == "CIRCLE":
        return trace_circle(points), ""
    if kind == "ELLIPSE" and len(points) == 4:
        left, right, top, bottom = np.array(points)
        long, short = right - left, bottom - top
        radii = (float(np.hypot(*long)) / 2, float(np.hypot(*short)) / 2)
        center = (left + right) / 2
        return trace_ellipse((center[0], center[1]), radii, float(np.degrees(np.arctan2(long[1], long[0])))), ""
    return points, "a line" if kind == "POLYLINE" else "points"


def _walk_content(dataset: Dataset) -> Iterator[Dataset]:
    """Every item of the tree of content."""
    waiting = list(dataset.get("ContentSequence") or [])
    for _ in range(_MAX_ITEMS):
        if not waiting:
            return
        item = waiting.pop()
        waiting.extend(item.get("ContentSequence") or [])
        yield item
    raise malformed_error(f"a report has at most {_MAX_ITEMS} items", "more")


def _parse_points(item: Dataset) -> list[list[float]]:
    """Pairs (n 2); a closed line repeats its first point, which is left out. Two points are a distance."""
    flat = _as_list(item.get("GraphicData"))
    pairs = [[float(x), float(y)] for x, y in zip(flat[::2], flat[1::2], strict=False)]
    return pairs[:-1] if len(pairs) > 1 and pairs[0] == pairs[-1] else pairs


def _list_frames(item: Dataset) -> Sequence[int | None]:
    """The 0-based frames that coordinates were drawn on; one None where none is stated."""
    found = [
        number
        for image in item.get("ContentSequence") or []
        for reference in image.get("ReferencedSOPSequence") or []
        for number in _as_list(reference.get("ReferencedFrameNumber"))
    ]
    return [_from_zero(number) for number in found] or [None]


def _read_segmentation(dataset: Dataset, wanted: Wanted) -> Drawing:
    rows, columns = check_sides(dataset.get("Rows"), dataset.get("Columns"))
    groups = list(dataset.get("PerFrameFunctionalGroupsSequence") or [])
    stated = (str(dataset.get("SegmentationType")), int(dataset.get("BitsAllocated", 0)))
    if stated != ("BINARY", 1) or not 0 < len(groups) <= _MAX_SEG_FRAMES:
        raise malformed_error("a segmentation is binary, with the source of each frame", "another kind")
    if len(groups) * rows * columns > 8 * MAX_BYTES or int(dataset.get("NumberOfFrames", 1)) != len(groups):
        raise malformed_error("a segmentation has the frames that it states", "another number")
    labels = {segment.get("SegmentNumber"): segment.get("SegmentLabel") for segment in dataset.get("SegmentSequence")}
    shapes = []
    for group, mask in zip(groups, iter_pixels(dataset), strict=True):
        if np.any(mask):
            number = group.SegmentIdentificationSequence[0].get("ReferencedSegmentNumber")
            shapes.append(Shape(str(labels.get(number)), mask, _find_source_frame(group), (rows, columns)))
    if not shapes:
        raise OutlineError("empty-outline", "a segmentation is painted", "nothing painted", "paint it again")
    lesion = select_lesion(shapes, wanted)
    return Drawing(trace_contour(lesion.points), lesion.picture, lesion.frame)


def _find_source_frame(group: Dataset) -> int | None:
    for derivation in group.get("DerivationImageSequence") or []:
        for source in derivation.get("SourceImageSequence") or []:
            numbers = _as_list(source.get("ReferencedFrameNumber"))
            if numbers:
                return _from_zero(numbers[0])
    return None


def _from_zero(number: Any) -> int:
    if int(number) < 1:
        raise malformed_error("DICOM counts frames from 1", "a smaller number")
    return int(number) - 1


def _as_list(value: Any) -> list[Any]:
    """A value of any multiplicity as a list."""
    if value is None or value == "":
        return []
    return list(value) if hasattr(value, "__iter__") and not isinstance(value, str) else [value]


_OBJECTS = {"SR": _read_report, "SEG": _read_segmentation}
