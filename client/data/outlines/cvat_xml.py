"""Outlines in CVAT's own XML: "CVAT for images 1.1" (by picture) and "CVAT for video 1.1" (by track)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from xml.etree.ElementTree import Element, ParseError

import numpy as np
from defusedxml import ElementTree
from defusedxml.common import DefusedXmlException

from client.data.outlines.annotation import (
    CORNER_PX,
    Drawing,
    Shape,
    check_sides,
    make_drawing,
    malformed_error,
    parse_count,
    read_bytes,
    select_lesion,
    trace_contour,
)
from client.data.outlines.labelme_coco import parse_frame_name
from client.data.outlines.rle import decode_cvat_rle

MAX_XML_BYTES = 8 * 2**20
"""A tree of elements takes tens of times the memory of its text."""
_SHAPES = ("polygon", "mask")


def read_xml(path: Path, wanted: int | None) -> Drawing:
    """The lesion of a CVAT file. wanted: the table's frame, 0-based. Raises OutlineError.

    Entities and document types are refused, as CVAT writes none and they can unfold to gigabytes.
    """
    content = read_bytes(path)
    if len(content) > MAX_XML_BYTES:
        raise malformed_error(f"a CVAT file has at most {MAX_XML_BYTES // 2**20} MiB", f"{len(content) // 2**20} MiB")
    try:
        root = ElementTree.fromstring(content, forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError, LookupError):
        raise malformed_error("a .xml outline is CVAT's XML", "something else") from None
    if root.tag != "annotations":
        raise malformed_error('CVAT\'s XML begins with "annotations"', "another element")
    found = [*_list_image_shapes(root), *_list_track_shapes(root)]
    # Between key frames CVAT writes shapes that nobody drew.
    drawn = [shape for element, shape in found if element.get("keyframe", "1") == "1"]
    lesion = select_lesion(drawn, wanted)
    if isinstance(lesion.points, Element):
        return _read_mask(lesion.points, lesion)
    return make_drawing(lesion, CORNER_PX)


def _list_image_shapes(root: Element) -> Iterator[tuple[Element, Shape]]:
    for picture in root.iterfind("image"):
        frame = parse_frame_name(picture.get("name"))
        size = _parse_size(picture.get("height"), picture.get("width"))
        for element in picture:
            if element.tag in _SHAPES:
                yield element, Shape(element.get("label"), _parse_points(element), frame, size)


def _list_track_shapes(root: Element) -> Iterator[tuple[Element, Shape]]:
    """The visible shapes of every track; CVAT counts frames from 0, and writes those between key frames too."""
    stated = root.find("meta//original_size")
    size = None if stated is None else _parse_size(stated.findtext("height"), stated.findtext("width"))
    for track in root.iterfind("track"):
        for element in track:
            if element.tag in _SHAPES and element.get("outside") != "1":
                yield (
                    element,
                    Shape(track.get("label"), _parse_points(element), _parse_whole(element.get("frame")), size),
                )


def _parse_points(element: Element) -> list[list[float]] | Element:
    """The points of a polygon; a mask is read when it is the one chosen."""
    if element.tag == "mask":
        return element
    pairs = [part.split(",") for part in element.get("points", "").split(";")]
    return [[_parse_number(text) for text in pair] for pair in pairs]


def _read_mask(element: Element, shape: Shape) -> Drawing:
    left, top, columns, rows = (_parse_whole(element.get(name)) for name in ("left", "top", "width", "height"))
    if left is None or top is None:
        raise malformed_error("a CVAT mask states its place", "none")
    high, wide = check_sides(rows, columns)
    runs = [_parse_whole(text.strip()) for text in element.get("rle", "").split(",")]
    polygon = trace_contour(decode_cvat_rle(runs, high, wide)) + np.array([left, top], dtype=np.float64)
    return Drawing(polygon, shape.picture, shape.frame)


def _parse_size(rows: str | None, columns: str | None) -> tuple[int, int] | None:
    high, wide = _parse_whole(rows), _parse_whole(columns)
    return None if high is None or wide is None else (high, wide)


def _parse_whole(text: str | None) -> int | None:
    value = _parse_number(text or "")
    return parse_count(value) if value % 1 == 0 else None


def _parse_number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
