"""Outlines in JSON: COCO and Datumaro, as CVAT exports them too, and LabelMe by its own reader."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from client.data.outlines.annotation import (
    CORNER_PX,
    F64,
    Drawing,
    Shape,
    Wanted,
    find_frame_number,
    is_number,
    make_drawing,
    malformed_error,
    parse_count,
    parse_picture_size,
    read_bytes,
    select_lesion,
    trace_contour,
)
from client.data.outlines.labelme import read_labelme
from client.data.outlines.rle import decode_coco_rle
from client.data.outlines.shapes import trace_rectangle

_FRAME_NAME = re.compile(r"frame_(\d{1,9})", re.ASCII)
"""How CVAT names the pictures of a video; it counts from 0."""


def read_json(path: Path, wanted: Wanted) -> Drawing:
    """The lesion of a JSON file. Raises OutlineError."""
    try:
        document: Any = json.loads(read_bytes(path).decode("utf-8-sig"))
    except (ValueError, RecursionError):
        raise malformed_error("a .json outline is JSON in UTF-8", "something else") from None
    for key, reader in _TOOLS.items():
        if isinstance(document, Mapping) and isinstance(document.get(key), list):
            return reader(document, wanted)
    raise malformed_error("JSON of LabelMe (shapes), COCO (annotations) or Datumaro (items)", "none of them")


def parse_frame_name(name: object) -> int | None:
    """The 0-based frame behind "frame_000012.PNG" as CVAT names pictures of a video, None for another name."""
    stem = PurePosixPath(name).stem if isinstance(name, str) else ""
    match = _FRAME_NAME.fullmatch(stem)
    return int(match[1]) if match else None


def _read_coco(document: Mapping[str, Any], wanted: Wanted) -> Drawing:
    pictures = {_as_key(picture.get("id")): picture for picture in _list_mappings(document.get("images"))}
    names = {
        _as_key(entry.get("id")): _as_text(entry.get("name")) for entry in _list_mappings(document.get("categories"))
    }
    shapes = []
    for note in _list_mappings(document["annotations"]):
        picture = pictures.get(_as_key(note.get("image_id")), {})
        name = picture.get("file_name")
        shapes.append(
            Shape(
                label=names.get(_as_key(note.get("category_id"))),
                points=note.get("segmentation") or _Box(note.get("bbox")),
                frame=parse_frame_name(name),
                picture=parse_picture_size(picture, "height", "width"),
                frame_in_name=find_frame_number(name),
            )
        )
    lesion = select_lesion(shapes, wanted)
    if isinstance(lesion.points, Mapping):
        return _draw_runs(lesion, lesion.points)
    points = lesion.points.corners() if isinstance(lesion.points, _Box) else _pair_numbers(_one_part(lesion.points))
    return make_drawing(lesion.with_points(points), CORNER_PX)


def _read_datumaro(document: Mapping[str, Any], wanted: Wanted) -> Drawing:
    labels = _map_datumaro_labels(document)
    shapes = [
        Shape(
            label=labels.get(_as_key(note.get("label_id"))),
            points=note,
            frame=_find_datumaro_frame(item),
            picture=_parse_datumaro_size(item),
            frame_in_name=find_frame_number(item.get("id")),
            open_kind=_OPEN_KINDS.get(str(note.get("type")), ""),
        )
        for item in _list_mappings(document["items"])
        for note in _list_mappings(item.get("annotations"))
        if note.get("type") in (*_AREAS, *_OPEN_KINDS)
    ]
    lesion = select_lesion(shapes, wanted)
    note = lesion.points
    if note["type"] == "mask":
        return _draw_runs(lesion, _as_mapping(note.get("rle")))
    points = _Box(note.get("bbox")).corners() if note["type"] == "bbox" else _pair_numbers(note.get("points"))
    return make_drawing(lesion.with_points(points), CORNER_PX)


def _find_datumaro_frame(item: Mapping[str, Any]) -> int | None:
    stated = parse_count(_as_mapping(item.get("attr")).get("frame"))
    return parse_frame_name(item.get("id")) if stated is None else stated


def _parse_datumaro_size(item: Mapping[str, Any]) -> tuple[int, int] | None:
    size = _as_mapping(item.get("image")).get("size")
    rows, columns = map(parse_count, size) if isinstance(size, list) and len(size) == 2 else (None, None)
    return None if rows is None or columns is None else (rows, columns)


def _draw_runs(lesion: Shape, runs: Mapping[str, Any]) -> Drawing:
    """A mask in run lengths, which has the size of the picture."""
    mask = decode_coco_rle(runs)
    return Drawing(trace_contour(mask), (mask.shape[0], mask.shape[1]), lesion.frame, lesion.frame_in_name)


@dataclass(frozen=True, slots=True)
class _Box:
    """A rectangle as COCO and Datumaro keep it: [x, y, width, height]."""

    sides: Any

    def corners(self) -> F64:
        """Its corners (4 2). Raises OutlineError."""
        if not isinstance(self.sides, list) or len(self.sides) != 4 or not all(map(is_number, self.sides)):
            raise malformed_error("a lesion has a polygon, run lengths or a box", "none of them")
        left, top, width, height = self.sides
        return trace_rectangle([[left, top], [left + width, top + height]])


def _map_datumaro_labels(document: Mapping[str, Any]) -> dict[str, str | None]:
    listed = _as_mapping(_as_mapping(document.get("categories")).get("label")).get("labels")
    return {str(number): _as_text(label.get("name")) for number, label in enumerate(_list_mappings(listed))}


_AREAS = ("polygon", "mask", "bbox")
_OPEN_KINDS = {"points": "points", "polyline": "a line", "ellipse": "an ellipse", "cuboid_3d": "a cuboid"}
"""Datumaro's kinds of shapes that are not read → how a fault names them."""
_TOOLS = {"shapes": read_labelme, "annotations": _read_coco, "items": _read_datumaro}
"""A key that only this tool's files have a list under → reader."""


def _one_part(segmentation: Any) -> Any:
    if not isinstance(segmentation, list) or len(segmentation) != 1:
        count = len(segmentation) if isinstance(segmentation, list) else 0
        raise malformed_error("a lesion's segmentation is one polygon, or run lengths", f"{count} polygons")
    return segmentation[0]


def _pair_numbers(flat: Any) -> list[list[Any]]:
    """x1, y1, x2, y2 … as points."""
    if not isinstance(flat, list) or len(flat) % 2:
        raise malformed_error("a polygon is a list of x, y, x, y …", "something else")
    return [flat[index : index + 2] for index in range(0, len(flat), 2)]


def _list_mappings(value: Any) -> Iterator[Mapping[str, Any]]:
    return (item for item in value if isinstance(item, Mapping)) if isinstance(value, list) else iter(())


def _as_mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _as_text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _as_key(value: object) -> str:
    """Ids are numbers in some files and texts in others."""
    return str(value) if isinstance(value, str | int) else ""
