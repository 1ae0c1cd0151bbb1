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
    F64,
    Drawing,
    Shape,
    Wanted,
    check_sides,
    find_frame_number,
    make_drawing,
    malformed_error,
    parse_count,
    read_bytes,
    select_lesion,
    trace_contour,
)
from client.data.outlines.json_outlines import parse_frame_name
from client.data.outlines.rle import decode_cvat_rle
from client.data.outlines.shapes import trace_ellipse, trace_rectangle

MAX_XML_BYTES = 8 * 2**20
"""A tree of elements takes tens of times the memory of its text."""
_AREAS = ("polygon", "mask", "box", "ellipse")
_OPEN_KINDS = {"polyline": "a line", "points": "points", "cuboid": "a cuboid", "skeleton": "a skeleton"}
"""CVAT's kinds of shapes that enclose nothing on a picture → how a fault names them."""


def read_xml(path: Path, wanted: Wanted) -> Drawing:
    """The lesion of a CVAT file. Raises OutlineError.

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
    if lesion.points.tag == "mask":
        return _read_mask(lesion.points, lesion)
    return make_drawing(lesion.with_points(_trace(lesion.points)), CORNER_PX)


def _list_image_shapes(root: Element) -> Iterator[tuple[Element, Shape]]:
    for picture in root.iterfind("image"):
        name = picture.get("name")
        size = _parse_size(picture.get("height"), picture.get("width"))
        for element in _list_shapes(picture):
            found = (parse_frame_name(name), size, find_frame_number(name))
            yield element, Shape(element.get("label"), element, *found, _OPEN_KINDS.get(element.tag, ""))


def _list_track_shapes(root: Element) -> Iterator[tuple[Element, Shape]]:
    """The visible shapes of every track; CVAT counts frames from 0, and writes those between key frames too."""
    stated = root.find("meta//original_size")
    size = None if stated is None else _parse_size(stated.findtext("height"), stated.findtext("width"))
    for track in root.iterfind("track"):
        for element in _list_shapes(track):
            if element.get("outside") != "1":
                found = (_parse_whole(element.get("frame")), size, None)
                yield element, Shape(track.get("label"), element, *found, _OPEN_KINDS.get(element.tag, ""))


def _list_shapes(parent: Element) -> Iterator[Element]:
    return (element for element in parent if element.tag in _AREAS or element.tag in _OPEN_KINDS)


def _trace(element: Element) -> list[list[float]] | F64:
    """The points (n 2) of a polygon, a box or an ellipse."""
    degrees = _parse_number(element.get("rotation", "0"))
    if element.tag == "polygon":
        pairs = [part.split(",") for part in element.get("points", "").split(";")]
        return [[_parse_number(text) for text in pair] for pair in pairs]
    if element.tag == "box":
        left, top, right, bottom = (_parse_number(element.get(name, "")) for name in ("xtl", "ytl", "xbr", "ybr"))
        return trace_rectangle([[left, top], [right, bottom]], degrees)
    x, y, wide, high = (_parse_number(element.get(name, "")) for name in ("cx", "cy", "rx", "ry"))
    return trace_ellipse((x, y), (wide, high), degrees)


def _read_mask(element: Element, shape: Shape) -> Drawing:
    left, top, columns, rows = (_parse_whole(element.get(name)) for name in ("left", "top", "width", "height"))
    if left is None or top is None:
        raise malformed_error("a CVAT mask states its place", "none")
    high, wide = check_sides(rows, columns)
    runs = [_parse_whole(text.strip()) for text in element.get("rle", "").split(",")]
    polygon = trace_contour(decode_cvat_rle(runs, high, wide)) + np.array([left, top], dtype=np.float64)
    return Drawing(polygon, shape.picture, shape.frame, shape.frame_in_name)


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
