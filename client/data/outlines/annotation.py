"""What a drawing tool's file holds before it is known which clip it belongs to, and how such a file is opened.

Coordinates are (x, y) with pixel centers at whole numbers. Tools that count from the corner of the first pixel
(CVAT, COCO, DICOM SR) are shifted by CORNER_PX in their readers.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from client.faults.fault import Unusable

F64 = npt.NDArray[np.float64]
CORNER_PX = 0.5
LESION = "lesion"
"""The label that picks one shape among several."""
MAX_BYTES = 32 * 2**20
MAX_SIDE_PX = 8192
MAX_POINTS = 100_000
_LARGEST_PX = 1e6
_SECOND_PIECE_SHARE = 0.05
"""A smaller second piece of a mask is a slip of the brush; a larger one leaves open which is the lesion."""


class OutlineError(Unusable):
    """An outline that cannot be used."""


@dataclass(frozen=True, slots=True, eq=False)
class Drawing:
    """One outline as the annotation tool stored it.

    Attributes:
        polygon: f64 (n 2), x and y on the annotated picture.
        picture: Size (rows, columns) of that picture, None where the file does not state it.
        frame: 0-based frame of the first clip, None where the file does not state it.
    """

    polygon: F64
    picture: tuple[int, int] | None
    frame: int | None


@dataclass(frozen=True, slots=True)
class Shape:
    """One closed shape of a file.

    Attributes:
        label: The label of the shape, None where it has none.
        frame: 0-based, None where not stated.
    """

    label: str | None
    points: Any
    frame: int | None = None
    picture: tuple[int, int] | None = None


def malformed(rule: str, value: str) -> OutlineError:
    """The error for a file that is not what its tool writes."""
    return OutlineError("unreadable-outline", rule, value, "export the outline again from the annotation tool")


def read_bytes(path: Path) -> bytes:
    """A whole file of at most MAX_BYTES. Raises OutlineError."""
    try:
        size = path.stat().st_size
        content = path.read_bytes() if size <= MAX_BYTES else b""
    except OSError:
        raise missing() from None
    if size > MAX_BYTES:
        raise malformed(f"an outline's file has at most {MAX_BYTES // 2**20} MiB", f"{size // 2**20} MiB")
    return content


def missing() -> OutlineError:
    """The error for a file that is not there or not ours to read."""
    return OutlineError(
        "missing-outline",
        "every lesion has one outline that can be opened",
        "no such file, or no right to read it",
        "put the file where the outline column says, or correct the cell",
    )


def the_lesion(shapes: Sequence[Shape], wanted: int | None) -> Shape:
    """The one shape that is the lesion.

    wanted: the frame that the table states, 0-based, None for a blank. It picks among shapes on several frames, and
    the label "lesion" picks among several on one frame. Raises OutlineError where one does not remain.
    """
    candidates = [shape for shape in shapes if shape.label == LESION] or list(shapes)
    frames = {shape.frame for shape in candidates}
    if len(frames) > 1 and wanted in frames:
        candidates = [shape for shape in candidates if shape.frame == wanted]
    elif len(frames) > 1:
        raise many_frames(len(frames))
    if len(candidates) != 1:
        raise malformed(f'exactly one outline, or one labelled "{LESION}"', f"{len(candidates)} of them")
    return candidates[0]


def many_frames(count: int) -> OutlineError:
    """The error for a file with outlines on several frames, of which none is the table's."""
    return OutlineError(
        "outline-frame-open",
        "outline_frame names the frame to take where a file has outlines on several",
        f"{count} outlined frames",
        "write the 0-based frame of the outline in arterial phase in outline_frame",
    )


def drawing_of(shape: Shape, origin_px: float = 0.0) -> Drawing:
    """A shape's points (n 2) as a drawing. origin_px: where the tool's zero lies before the first pixel's center."""
    if not isinstance(shape.points, Sequence) or len(shape.points) > MAX_POINTS:
        raise malformed(f"an outline is a list of at most {MAX_POINTS} points", "something else")
    if not all(map(is_point, shape.points)):
        raise malformed("the points of an outline are pairs of numbers", "something else")
    polygon = np.asarray(shape.points, dtype=np.float64).reshape(-1, 2) - origin_px  # (n 2)
    return Drawing(polygon, shape.picture, shape.frame)


def contour(mask: npt.NDArray[Any]) -> F64:
    """The border (n 2) of the one piece of a mask (h w), non-zero inside. Raises OutlineError."""
    inside = (mask != 0).astype(np.uint8)
    pieces, _ = cv2.findContours(inside, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    if not pieces:
        raise OutlineError(
            "empty-outline", "a mask is not 0 inside the lesion", "nothing painted", "paint the mask again"
        )
    by_size = sorted(pieces, key=cv2.contourArea, reverse=True)
    if len(by_size) > 1 and cv2.contourArea(by_size[1]) > _SECOND_PIECE_SHARE * cv2.contourArea(by_size[0]):
        raise malformed("a mask shows one lesion in one piece", f"{len(by_size)} pieces")
    return np.asarray(by_size[0].reshape(-1, 2), dtype=np.float64)


def check_sides(rows: object, columns: object) -> tuple[int, int]:
    """The sides of a picture that a file states, before memory is taken for it. Raises OutlineError."""
    high, wide = whole(rows), whole(columns)
    if high is None or wide is None or not (0 < high <= MAX_SIDE_PX and 0 < wide <= MAX_SIDE_PX):
        raise malformed(f"a mask has 1 to {MAX_SIDE_PX} pixels a side", "something else")
    return high, wide


def picture_of(document: Mapping[str, Any], rows: str, columns: str) -> tuple[int, int] | None:
    """(rows, columns) where a mapping states both."""
    high, wide = whole(document.get(rows)), whole(document.get(columns))
    return None if high is None or wide is None else (high, wide)


def is_point(point: object) -> bool:
    """Whether something is a pair of numbers that can be pixel positions."""
    return isinstance(point, list | tuple) and len(point) == 2 and all(map(is_number, point))


def is_number(value: object) -> bool:
    """Whether something is a finite number of a sensible size; True and False are none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) < _LARGEST_PX and math.isfinite(value)


def whole(value: object) -> int | None:
    """A count from 0, None for anything else."""
    return int(value) if isinstance(value, int | float) and is_number(value) and value >= 0 else None
