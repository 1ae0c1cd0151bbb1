"""What a drawing tool's file holds before it is known which clip it belongs to, and how such a file is opened.

Coordinates are (x, y) with pixel centers at whole numbers. Tools that count from the corner of the first pixel
(CVAT, COCO, DICOM SR) are shifted by CORNER_PX in their readers.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from client.data.words import fold_word
from client.faults.fault import Unusable

F64 = npt.NDArray[np.float64]
CORNER_PX = 0.5
LESION, OTHER = "lesion", "other"
"""What a label says of its shape: it is the one to take among several, or it is none to take."""
MAX_BYTES = 32 * 2**20
MAX_SIDE_PX = 8192
MAX_POINTS = 100_000
_LARGEST_PX = 1e6
_NUMBER_IN_NAME = re.compile(r"(?:frame|frm|帧)[\s_.-]*(\d{1,6})|第\s*(\d{1,6})\s*帧", re.IGNORECASE)
_SECOND_PIECE_SHARE = 0.05
"""A smaller second piece of a mask is a slip of the brush; a larger one leaves open which is the lesion."""


class OutlineError(Unusable):
    """An outline that cannot be used."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the site says of the shape to take.

    Attributes:
        frame: The table's frame, 0-based, None for a blank.
        labels: The hospital's label of a shape → LESION or OTHER.
    """

    frame: int | None = None
    labels: Mapping[str, str] = field(default_factory=dict)

    def find_role(self, label: str | None) -> str:
        """LESION, OTHER, or "" where neither the site nor the word itself says it; letters' case does not count."""
        folded = fold_word(label or "")
        roles = {LESION: LESION, **{fold_word(word): role for word, role in self.labels.items()}}
        return roles.get(folded, "")


@dataclass(frozen=True, slots=True, eq=False)
class Drawing:
    """One outline as the annotation tool stored it.

    Attributes:
        polygon: f64 (n 2), x and y on the annotated picture.
        picture: Size (rows, columns) of that picture, None where the file does not state it.
        frame: 0-based frame of the first clip, None where the file does not state it.
        frame_in_name: Number of a frame in the picture's name, which may count from 0 or from 1; None where none is.
        on_clip: Whether the format itself counts in the pixels of the clip, so that no scale is open.
    """

    polygon: F64
    picture: tuple[int, int] | None
    frame: int | None
    frame_in_name: int | None = None
    on_clip: bool = False


@dataclass(frozen=True, slots=True)
class Shape:
    """One shape of a file.

    Attributes:
        label: The label of the shape, None where it has none.
        points: As the tool keeps them.
        frame: 0-based, None where not stated.
        picture, frame_in_name: As in Drawing.
        open_kind: What it is where it encloses nothing, as "a line"; "" for an area.
    """

    label: str | None
    points: Any
    frame: int | None = None
    picture: tuple[int, int] | None = None
    frame_in_name: int | None = None
    open_kind: str = ""

    def with_points(self, points: Any) -> Shape:
        """The same shape with other points."""
        return replace(self, points=points)


def malformed_error(rule: str, value: str) -> OutlineError:
    """The error for a file that is not what its tool writes."""
    return OutlineError("unreadable-outline", rule, value, "export the outline again from the annotation tool")


def read_bytes(path: Path) -> bytes:
    """A whole file of at most MAX_BYTES. Raises OutlineError."""
    try:
        size = path.stat().st_size
        content = path.read_bytes() if size <= MAX_BYTES else b""
    except OSError:
        raise missing_error() from None
    if size > MAX_BYTES:
        raise malformed_error(f"an outline's file has at most {MAX_BYTES // 2**20} MiB", f"{size // 2**20} MiB")
    return content


def missing_error() -> OutlineError:
    """The error for a file that is not there or not ours to read."""
    return OutlineError(
        "missing-outline",
        "every lesion has one outline that can be opened",
        "no such file, or no right to read it",
        "put the file where the outline column says, or correct the cell",
    )


def select_lesion(shapes: Sequence[Shape], wanted: Wanted) -> Shape:
    """The one shape that is the lesion.

    The table's frame picks among shapes on several frames, and the label "lesion" picks among several on one frame.
    Raises OutlineError where one does not remain.
    """
    roles = [wanted.find_role(shape.label) for shape in shapes]
    labelled = [shape for shape, role in zip(shapes, roles, strict=True) if role == LESION]
    possible = labelled or [shape for shape, role in zip(shapes, roles, strict=True) if role != OTHER]
    candidates = [shape for shape in possible if not shape.open_kind]
    if possible and not candidates:
        raise open_shape_error(possible[0].open_kind)
    frames = {shape.frame for shape in candidates}
    if len(frames) > 1 and wanted.frame in frames:
        candidates = [shape for shape in candidates if shape.frame == wanted.frame]
    elif len(frames) > 1:
        raise many_frames_error(len(frames))
    if len(candidates) != 1:
        raise OutlineError(
            "unreadable-outline",
            f'exactly one outline, or one labelled "{LESION}"',
            f"{len(candidates)} of them",
            f'label the lesion "{LESION}" when drawing it, or write your labels under outline_labels in site.yaml'
            if candidates
            else "outline the lesion with a closed shape, and export it again",
        )
    return candidates[0]


def open_shape_error(kind: str) -> OutlineError:
    """The error for a shape that encloses nothing."""
    rule = "an outline is a closed shape: a polygon, a circle, a rectangle or a mask"
    return OutlineError("outline-shape", rule, kind, "outline the lesion with a closed shape")


def find_frame_number(name: object) -> int | None:
    """The number of a frame in the name of a picture, which may count from 0 or from 1; None where none is.

    >>> find_frame_number("P7_Frame-012.png"), find_frame_number("第12帧.png"), find_frame_number("IMG_0012.png")
    (12, 12, None)
    """
    stem = PurePosixPath(name.replace("\\", "/")).stem if isinstance(name, str) else ""
    found = _NUMBER_IN_NAME.findall(stem)
    return int("".join(found[-1])) if found else None


def many_frames_error(count: int) -> OutlineError:
    """The error for a file with outlines on several frames, of which none is the table's."""
    return OutlineError(
        "outline-frame-open",
        "outline_frame names the frame to take where a file has outlines on several",
        f"{count} outlined frames",
        "write the 0-based frame of the outline in arterial phase in outline_frame",
    )


def make_drawing(shape: Shape, origin_px: float = 0.0) -> Drawing:
    """A shape's points (n 2) as a drawing. origin_px: where the tool's zero lies before the first pixel's center."""
    points = shape.points.tolist() if isinstance(shape.points, np.ndarray) else shape.points
    if not isinstance(points, Sequence) or len(points) > MAX_POINTS:
        raise malformed_error(f"an outline is a list of at most {MAX_POINTS} points", "something else")
    if not all(map(is_point, points)):
        raise malformed_error("the points of an outline are pairs of numbers", "something else")
    polygon = np.asarray(points, dtype=np.float64).reshape(-1, 2) - origin_px  # (n 2)
    return Drawing(polygon, shape.picture, shape.frame, shape.frame_in_name)


def trace_contour(mask: npt.NDArray[Any]) -> F64:
    """The border (n 2) of the one piece of a mask (h w), non-zero inside. Raises OutlineError."""
    inside = (mask != 0).astype(np.uint8)
    pieces, _ = cv2.findContours(inside, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    if not pieces:
        raise OutlineError(
            "empty-outline", "a mask is not 0 inside the lesion", "nothing painted", "paint the mask again"
        )
    by_size = sorted(pieces, key=cv2.contourArea, reverse=True)
    if len(by_size) > 1 and cv2.contourArea(by_size[1]) > _SECOND_PIECE_SHARE * cv2.contourArea(by_size[0]):
        raise malformed_error("a mask shows one lesion in one piece", f"{len(by_size)} pieces")
    return np.asarray(by_size[0].reshape(-1, 2), dtype=np.float64)


def check_sides(rows: object, columns: object) -> tuple[int, int]:
    """The sides of a picture that a file states, before memory is taken for it. Raises OutlineError."""
    high, wide = parse_count(rows), parse_count(columns)
    if high is None or wide is None or not (0 < high <= MAX_SIDE_PX and 0 < wide <= MAX_SIDE_PX):
        raise malformed_error(f"a mask has 1 to {MAX_SIDE_PX} pixels a side", "something else")
    return high, wide


def parse_picture_size(document: Mapping[str, Any], rows: str, columns: str) -> tuple[int, int] | None:
    """(rows, columns) where a mapping states both."""
    high, wide = parse_count(document.get(rows)), parse_count(document.get(columns))
    return None if high is None or wide is None else (high, wide)


def is_point(point: object) -> bool:
    """Whether something is a pair of numbers that can be pixel positions."""
    return isinstance(point, list | tuple) and len(point) == 2 and all(map(is_number, point))


def is_number(value: object) -> bool:
    """Whether something is a finite number of a sensible size; True and False are none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) < _LARGEST_PX and math.isfinite(value)


def parse_count(value: object) -> int | None:
    """A count from 0, None for anything else."""
    return int(value) if isinstance(value, int | float) and is_number(value) and value >= 0 else None
