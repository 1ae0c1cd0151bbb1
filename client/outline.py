"""The radiologist's one outline of a lesion, whatever she drew it with, as one polygon.

Coordinates are (x, y) in full-screen pixels with pixel centers at whole numbers, frames count from 0.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from client.faults import Unusable

F64 = npt.NDArray[np.float64]
Box = tuple[int, int, int, int]
"""x0, y0, x1, y1 in pixels; x1 and y1 are the first ones outside."""

PANES = ("contrast", "bmode", "screen")
MIN_AREA_PX = 9.0
MAX_JSON_BYTES = 64 * 2**20
MAX_MASK_SIDE_PX = 8192
_SECOND_PIECE_SHARE = 0.05
"""A smaller second piece of a mask is a slip of the brush; a larger one leaves open which is the lesion."""
_ROUNDING_PX = 1.0
"""Points may lie this far outside the pane: drawing tools let the border be crossed by half a pixel."""


class OutlineError(Unusable):
    """An outline that cannot be used."""


@dataclass(frozen=True, slots=True, eq=False)
class Outline:
    """frame: 0-based frame of the first clip · polygon: f64 (n 2), x and y in full-screen pixels · pane:
    where it was drawn, one of PANES · screen: (rows, columns) that the file states, None where it does not.
    """

    frame: int
    polygon: F64
    pane: str
    screen: tuple[int, int] | None = None


def read_outline(path: Path, frame: int | None, pane: str) -> Outline:
    """Reads LabelMe polygon JSON or a mask PNG (suffix decides).

    frame: the manifest's frame, None where only the file says it · pane: one of PANES.
    Raises OutlineError for a file that is missing, unreadable or holds no single usable polygon.
    """
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise OutlineError(
            "unknown-outline-format",
            f"an outline is one of {', '.join(sorted(READERS))}",
            f'suffix "{path.suffix[:8]}"',
            "export the outline as LabelMe JSON or as a mask PNG",
        )
    polygon, screen, stated = reader(path)
    _check_polygon(polygon, screen)
    return Outline(_agreed_frame(frame, stated), polygon, pane, screen)


def bounding_box(polygon: F64) -> tuple[float, float, float, float]:
    """The minimum upright rectangle x0, y0, x1, y1 around a polygon (n 2), in its own coordinates."""
    (x0, y0), (x1, y1) = polygon.min(axis=0), polygon.max(axis=0)
    return float(x0), float(y0), float(x1), float(y1)


def in_pane(outline: Outline, contrast: Box, bmode: Box | None) -> F64:
    """The polygon (n 2) in the coordinates of its pane; both panes show the same plane, so it fits either.

    Raises OutlineError when the polygon does not lie inside the pane that it was drawn on.
    """
    box = _pane_box(outline, contrast, bmode)
    if not _inside(outline.polygon, box):
        raise OutlineError(
            "outline-outside-frame",
            f"the outline lies inside the {outline.pane} pane (x {box[0]}-{box[2]}, y {box[1]}-{box[3]})",
            _extent(outline.polygon),
            "draw it again on this clip in full-screen pixels, or correct outline_pane",
        )
    return outline.polygon - np.array(box[:2], dtype=np.float64)


def check_screen(outline: Outline, rows: int, columns: int, frames: int) -> None:
    """Checks an outline against the clip that it was drawn on.

    rows, columns: size of the full screen · frames: number of frames of the first clip.
    Raises OutlineError when the sizes differ, a point lies off the screen, or the clip has no such frame.
    """
    if outline.screen is not None and outline.screen != (rows, columns):
        raise OutlineError(
            "outline-size",
            f"the outline belongs to a screen of {columns} x {rows} pixels like its clip",
            f"{outline.screen[1]} x {outline.screen[0]}",
            "draw it on an unscaled frame of the first clip of this row",
        )
    if not _inside(outline.polygon, (0, 0, columns, rows)):
        raise OutlineError(
            "outline-outside-frame",
            f"the outline lies inside the frame of {columns} x {rows} pixels",
            _extent(outline.polygon),
            "draw it again on this clip in full-screen pixels",
        )
    if outline.frame >= frames:
        raise OutlineError(
            "outline-frame-beyond-clip",
            f"outline_frame counts from 0 and is below the first clip's {frames} frames",
            str(outline.frame),
            "write the outlined frame of the first clip (viewers that count from 1 show one more)",
        )


def _pane_box(outline: Outline, contrast: Box, bmode: Box | None) -> Box:
    if bmode is None and outline.pane == "bmode":
        raise OutlineError(
            "outline-pane-absent",
            "outline_pane names a pane that the clip has",
            "bmode on a clip with a contrast pane only",
            "write contrast in outline_pane, or give the bmode box in site.yaml's screens",
        )
    if bmode is None or outline.pane == "contrast":
        return contrast
    if outline.pane == "bmode":
        return bmode
    x, y = outline.polygon.mean(axis=0)
    return bmode if bmode[0] <= x < bmode[2] and bmode[1] <= y < bmode[3] else contrast


def _agreed_frame(manifest: int | None, stated: int | None) -> int:
    if manifest is not None and stated is not None and manifest != stated:
        raise OutlineError(
            "outline-frame-disagrees",
            "outline_frame equals the frame that the outline's file states",
            f"{manifest} in the table, {stated} in the file (both count from 0)",
            "correct the wrong one, or leave the cell blank to use the file's",
        )
    frame = stated if manifest is None else manifest
    if frame is None:
        raise OutlineError(
            "outline-frame-missing",
            "the outlined frame is known",
            "a blank cell and a file without a frame",
            "write the 0-based frame of the first clip in outline_frame",
        )
    return frame


def _check_polygon(polygon: F64, screen: tuple[int, int] | None) -> None:
    if len(polygon) < 3:
        raise _malformed("an outline has at least 3 points", f"{len(polygon)}")
    if not np.isfinite(polygon).all() or np.abs(polygon).max() > 1e6:
        raise _malformed("points are finite pixel positions", "another number")
    area = _area(polygon)
    if area < MIN_AREA_PX:
        raise OutlineError(
            "empty-outline",
            f"an outline encloses at least {MIN_AREA_PX:.0f} pixels",
            f"{area:.1f}",
            "outline the lesion again on its first clip",
        )


def _inside(polygon: F64, box: Box) -> bool:
    x0, y0, x1, y1 = bounding_box(polygon)
    left, top, right, bottom = box
    slack = _ROUNDING_PX
    return x0 >= left - slack and y0 >= top - slack and x1 <= right - 1 + slack and y1 <= bottom - 1 + slack


def _extent(polygon: F64) -> str:
    x0, y0, x1, y1 = bounding_box(polygon)
    return f"x {x0:.0f} to {x1:.0f}, y {y0:.0f} to {y1:.0f}"


def _area(polygon: F64) -> float:
    x, y = polygon[:, 0], polygon[:, 1]
    return 0.5 * abs(float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))))


def _malformed(rule: str, value: str) -> OutlineError:
    return OutlineError("unreadable-outline", rule, value, "export the outline again from the drawing tool")


def _read_bytes(path: Path, limit: int) -> bytes:
    try:
        size = path.stat().st_size
        content = path.read_bytes() if size <= limit else b""
    except OSError:
        raise OutlineError(
            "missing-outline",
            "every lesion has one outline that can be opened",
            "no such file, or no right to read it",
            "put the file where the outline column says, or correct the cell",
        ) from None
    if size > limit:
        raise _malformed(f"an outline's file has at most {limit // 2**20} MiB", f"{size // 2**20} MiB")
    return content


Read = tuple[F64, tuple[int, int] | None, int | None]
"""Polygon (n 2), screen (rows, columns) if stated, 0-based frame if stated."""


def _read_labelme(path: Path) -> Read:
    try:
        document: Any = json.loads(_read_bytes(path, MAX_JSON_BYTES).decode("utf-8-sig"))
    except (ValueError, RecursionError):
        raise _malformed("a .json outline is LabelMe JSON in UTF-8", "something else") from None
    if not isinstance(document, Mapping) or not isinstance(document.get("shapes"), list):
        raise _malformed('LabelMe JSON has a list "shapes"', "none")
    shape = _lesion_shape(document["shapes"])
    points = shape.get("points")
    if not isinstance(points, list) or not all(map(_is_point, points)):
        raise _malformed("the points of a polygon are pairs of numbers", "something else")
    polygon = np.asarray(points, dtype=np.float64).reshape(-1, 2)  # (n 2)
    rows, columns = _whole(document.get("imageHeight")), _whole(document.get("imageWidth"))
    screen = None if rows is None or columns is None else (rows, columns)
    return polygon, screen, _whole(document.get("frame"))


def _lesion_shape(shapes: Sequence[Any]) -> Mapping[str, Any]:
    polygons = [s for s in shapes if isinstance(s, Mapping) and s.get("shape_type", "polygon") == "polygon"]
    named = [s for s in polygons if s.get("label") == "lesion"]
    candidates = named or polygons
    if len(candidates) != 1:
        raise _malformed('exactly one polygon, or one labelled "lesion"', f"{len(candidates)} of them")
    return candidates[0]


def _is_point(point: object) -> bool:
    return isinstance(point, list) and len(point) == 2 and all(map(_is_number, point))


def _is_number(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return math.isfinite(value) and abs(value) < 1e6


def _whole(value: object) -> int | None:
    return int(value) if isinstance(value, int | float) and _is_number(value) and value >= 0 else None


def _read_mask(path: Path) -> Read:
    content = _read_bytes(path, MAX_JSON_BYTES)
    columns, rows = (int.from_bytes(content[at : at + 4], "big") for at in (16, 20))
    if not content.startswith(b"\x89PNG") or not 0 < max(rows, columns) <= MAX_MASK_SIDE_PX:
        raise _malformed(f"a mask is a PNG of at most {MAX_MASK_SIDE_PX} pixels a side", "something else")
    try:
        mask = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_GRAYSCALE)
    except cv2.error:
        mask = None
    if mask is None:
        raise _malformed("a mask is a complete PNG", "a damaged one")
    pieces, _ = cv2.findContours((mask > 127).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    if not pieces:
        raise OutlineError("empty-outline", "a mask is 255 inside the lesion", "none", "paint the mask again")
    by_size = sorted(pieces, key=cv2.contourArea, reverse=True)
    if len(by_size) > 1 and cv2.contourArea(by_size[1]) > _SECOND_PIECE_SHARE * cv2.contourArea(by_size[0]):
        raise _malformed("a mask shows one lesion in one piece", f"{len(by_size)} pieces")
    return by_size[0].reshape(-1, 2).astype(np.float64), (rows, columns), None


READERS = {".json": _read_labelme, ".png": _read_mask}
