"""Outlines in JSON: LabelMe, COCO (polygons and run lengths) and Datumaro, the last two as CVAT exports them too."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from client.data.outlines.annotation import (
    CORNER_PX,
    Drawing,
    Shape,
    make_drawing,
    malformed_error,
    parse_count,
    parse_picture_size,
    read_bytes,
    select_lesion,
    trace_contour,
)
from client.data.outlines.rle import decode_coco_rle

_FRAME_NAME = re.compile(r"frame_(\d{1,9})", re.ASCII)
"""How CVAT names the pictures of a video; it counts from 0."""


def read_json(path: Path, wanted: int | None) -> Drawing:
    """The lesion of a JSON file. wanted: the table's frame, 0-based. Raises OutlineError."""
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


def _read_labelme(document: Mapping[str, Any], wanted: int | None) -> Drawing:
    """Points count from the pixels' centers: LabelMe's own masks are drawn through them so."""
    picture, frame = parse_picture_size(document, "imageHeight", "imageWidth"), parse_count(document.get("frame"))
    shapes = [
        Shape(_as_text(shape.get("label")), shape.get("points"), frame, picture)
        for shape in _list_mappings(document["shapes"])
        if shape.get("shape_type", "polygon") == "polygon"
    ]
    return make_drawing(select_lesion(shapes, wanted))


def _read_coco(document: Mapping[str, Any], wanted: int | None) -> Drawing:
    pictures = {_as_key(picture.get("id")): picture for picture in _list_mappings(document.get("images"))}
    names = {
        _as_key(entry.get("id")): _as_text(entry.get("name")) for entry in _list_mappings(document.get("categories"))
    }
    shapes = []
    for note in _list_mappings(document["annotations"]):
        picture = pictures.get(_as_key(note.get("image_id")), {})
        frame = parse_frame_name(picture.get("file_name"))
        size = parse_picture_size(picture, "height", "width")
        shapes.append(Shape(names.get(_as_key(note.get("category_id"))), note.get("segmentation"), frame, size))
    lesion = select_lesion(shapes, wanted)
    if isinstance(lesion.points, Mapping):
        mask = decode_coco_rle(lesion.points)
        size = mask.shape[0], mask.shape[1]
        return Drawing(trace_contour(mask), size, lesion.frame)
    return make_drawing(
        Shape(lesion.label, _pair_numbers(_one_part(lesion.points)), lesion.frame, lesion.picture), CORNER_PX
    )


def _read_datumaro(document: Mapping[str, Any], wanted: int | None) -> Drawing:
    labels = _map_datumaro_labels(document)
    shapes = []
    for item in _list_mappings(document["items"]):
        stated = parse_count(_as_mapping(item.get("attr")).get("frame"))
        size = _as_mapping(item.get("image")).get("size")
        rows, columns = map(parse_count, size) if isinstance(size, list) and len(size) == 2 else (None, None)
        picture = None if rows is None or columns is None else (rows, columns)
        for note in _list_mappings(item.get("annotations")):
            if note.get("type") == "polygon":
                frame = parse_frame_name(item.get("id")) if stated is None else stated
                shapes.append(
                    Shape(labels.get(_as_key(note.get("label_id"))), _pair_numbers(note.get("points")), frame, picture)
                )
    return make_drawing(select_lesion(shapes, wanted), CORNER_PX)


def _map_datumaro_labels(document: Mapping[str, Any]) -> dict[str, str | None]:
    listed = _as_mapping(_as_mapping(document.get("categories")).get("label")).get("labels")
    return {str(number): _as_text(label.get("name")) for number, label in enumerate(_list_mappings(listed))}


_TOOLS = {"shapes": _read_labelme, "annotations": _read_coco, "items": _read_datumaro}
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
