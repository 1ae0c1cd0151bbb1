"""Outlines of LabelMe: polygons, circles, rectangles and masks. Points count from the pixels' centers."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from client.data.outlines.annotation import (
    F64,
    Drawing,
    Shape,
    Wanted,
    find_frame_number,
    make_drawing,
    malformed_error,
    parse_count,
    parse_picture_size,
    select_lesion,
    trace_contour,
)
from client.data.outlines.masks import decode_png
from client.data.outlines.shapes import check_points, trace_circle, trace_rectangle

POLYGON = "polygon"
_OPEN = ("line", "linestrip", "point", "points")
"""LabelMe's kinds of shapes that enclose nothing."""


def read_labelme(document: Mapping[str, Any], wanted: Wanted) -> Drawing:
    """The lesion of a LabelMe file. Raises OutlineError.

    LabelMe has no key for a frame: "frame" is ours, and the name of the picture may tell one.
    """
    picture, frame = parse_picture_size(document, "imageHeight", "imageWidth"), parse_count(document.get("frame"))
    shapes = [
        Shape(
            label=label if isinstance(label := shape.get("label"), str) else None,
            points=shape,
            frame=frame,
            picture=picture,
            frame_in_name=find_frame_number(document.get("imagePath")),
            open_kind=_find_open_kind(shape.get("shape_type", POLYGON)),
        )
        for shape in document["shapes"]
        if isinstance(shape, Mapping)
    ]
    lesion = select_lesion(shapes, wanted)
    trace = _AREAS.get(lesion.points.get("shape_type", POLYGON))
    return make_drawing(lesion.with_points(lesion.points.get("points") if trace is None else trace(lesion.points)))


def _find_open_kind(kind: object) -> str:
    """How a fault names a kind of shape that is no area, "" for one that is; unknown words are not repeated."""
    if kind == POLYGON or kind in _AREAS:
        return ""
    return f"a {kind}" if kind in _OPEN else "a shape of an unknown kind"


def _trace_mask(shape: Mapping[str, Any]) -> F64:
    """A mask: a PNG in base64 and the first and last pixel of its box."""
    (left, top), (right, bottom) = check_points(shape.get("points"), 2, "a mask has the corners of its box")
    text = shape.get("mask")
    try:
        content = base64.b64decode(text, validate=True) if isinstance(text, str) else b""
    except ValueError:
        content = b""
    mask = decode_png(content)
    if mask.shape != (int(bottom) - int(top) + 1, int(right) - int(left) + 1):
        raise malformed_error("a mask has the size of its box", "another size")
    return trace_contour(mask) + np.array([int(left), int(top)], dtype=np.float64)


_AREAS: Mapping[Any, Callable[[Mapping[str, Any]], F64]] = {
    "circle": lambda shape: trace_circle(shape.get("points")),
    "rectangle": lambda shape: trace_rectangle(shape.get("points")),
    "mask": _trace_mask,
}
"""Kind of shape → its polygon (n 2)."""
