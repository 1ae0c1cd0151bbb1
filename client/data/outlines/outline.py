"""The radiologist's one outline of a lesion, whatever she drew it with, as one polygon.

Coordinates are (x, y) in full-screen pixels with pixel centers at whole numbers, frames count from 0.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from client.data.outlines.annotation import F64, Drawing, OutlineError, Wanted, find_frame_number, malformed_error
from client.data.outlines.cvat_xml import read_xml
from client.data.outlines.dicom_sr_seg import read_dicom
from client.data.outlines.json_outlines import read_json
from client.data.outlines.masks import read_nifti, read_png
from client.faults.fault import mask_characters

__all__ = [
    "PANES",
    "READERS",
    "Outline",
    "OutlineError",
    "View",
    "bounding_box",
    "place_in_pane",
    "place_on_screen",
    "read_outline",
]

Box = tuple[int, int, int, int]
"""x0, y0, x1, y1 in pixels; x1 and y1 are the first ones outside."""

NO_LABELS: Mapping[str, str] = {}
PANES = ("contrast", "bmode", "screen")
MIN_AREA_PX = 9.0
_ROUNDING_PX = 1.0
"""Points may lie this far outside the pane: drawing tools let the border be crossed by half a pixel."""

READERS: Mapping[str, Callable[[Path, Wanted], Drawing]] = {
    ".json": read_json,
    ".xml": read_xml,
    ".png": read_png,
    ".nii": read_nifti,
    ".nii.gz": read_nifti,
    ".dcm": read_dicom,
    ".dicom": read_dicom,
    "": read_dicom,
}
"""End of the file's name → reader. Files without a suffix are DICOM, as PACS exports name them."""


@dataclass(frozen=True, slots=True, eq=False)
class Outline:
    """The outline of a lesion on one frame.

    Attributes:
        frame: 0-based frame of the first clip.
        polygon: f64 (n 2), x and y in full-screen pixels, or on a picture cut to a pane until `place_on_screen` placed
            it.
        pane: The annotated pane, one of PANES.
        screen: Size (rows, columns) of the annotated picture, None where the file does not state it.
    """

    frame: int
    polygon: F64
    pane: str
    screen: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class View:
    """The first clip as far as an outline is concerned: its screen in pixels, its frames, its panes."""

    rows: int
    columns: int
    frames: int
    contrast: Box
    bmode: Box | None


def read_outline(path: Path, frame: int | None, pane: str, labels: Mapping[str, str] = NO_LABELS) -> Outline:
    """Reads any file of READERS (the end of the name decides).

    Args:
        frame: The manifest's frame, None where only the file states it.
        pane: One of PANES.
        labels: The hospital's label of a shape → "lesion" or "other".

    Raises:
        OutlineError: The file is missing, unreadable, or does not hold exactly one usable polygon.
    """
    name = path.name.casefold()
    suffix = ".nii.gz" if name.endswith(".nii.gz") else path.suffix.casefold()
    reader = READERS.get(suffix)
    if reader is None:
        raise OutlineError(
            "unknown-outline-format",
            f"an outline is one of {', '.join(filter(None, READERS))}",
            f"a suffix like {mask_characters(suffix[:8])}",
            "export the outline as LabelMe or CVAT polygons, as a mask (PNG, NIfTI), or as DICOM SR or SEG",
        )
    try:
        drawing = reader(path, Wanted(frame, labels))
    except OutlineError:
        raise
    except Exception as error:  # a file odd enough to trip a reader; the exception's text may quote it
        raise malformed_error("an outline's file can be read", f"a file that cannot ({type(error).__name__})") from None
    _check_polygon(drawing.polygon)
    _check_name(frame, drawing, path)
    if drawing.picture is None and not drawing.on_clip:
        raise OutlineError(
            "outline-size-missing",
            "an outline's file states the size of the picture that was drawn on",
            "none, so the picture may have been scaled",
            "export it with the picture's size (in LabelMe: imageHeight and imageWidth)",
        )
    return Outline(_resolve_frame(frame, drawing.frame), drawing.polygon, pane, drawing.picture)


def bounding_box(polygon: F64) -> tuple[float, float, float, float]:
    """The minimum upright rectangle x0, y0, x1, y1 around a polygon (n 2), in its own coordinates."""
    (x0, y0), (x1, y1) = polygon.min(axis=0), polygon.max(axis=0)
    return float(x0), float(y0), float(x1), float(y1)


def place_on_screen(outline: Outline, view: View) -> Outline:
    """The outline in full-screen pixels, checked against the clip that it was drawn on.

    An outline drawn on a picture cut to one of the panes is moved to that pane. Raises OutlineError when the picture
    has neither the screen's size nor a pane's, a point lies off the screen, or the clip has no such frame or pane.
    """
    if outline.pane == "bmode" and view.bmode is None:
        raise OutlineError(
            "outline-pane-absent",
            "outline_pane names a pane that the clip has",
            "bmode on a clip with a contrast pane only",
            "write contrast in outline_pane, or give the bmode box in site.yaml's screens",
        )
    placed = outline
    if outline.screen is not None and outline.screen != (view.rows, view.columns):
        box = _find_cropped_pane(outline, view)
        polygon = outline.polygon + np.array(box[:2], dtype=np.float64)
        pane = "contrast" if box == view.contrast else "bmode"
        placed = Outline(outline.frame, polygon, pane, (view.rows, view.columns))
    if not _inside(placed.polygon, (0, 0, view.columns, view.rows)):
        raise OutlineError(
            "outline-outside-frame",
            f"the outline lies inside the frame of {view.columns} x {view.rows} pixels",
            _format_extent(placed.polygon),
            "draw it again on this clip in full-screen pixels",
        )
    if outline.frame >= view.frames:
        raise OutlineError(
            "outline-frame-beyond-clip",
            f"outline_frame counts from 0 and is below the first clip's {view.frames} frames",
            str(outline.frame),
            "write the outlined frame of the first clip (viewers that count from 1 show one more)",
        )
    return placed


def place_in_pane(outline: Outline, view: View) -> F64:
    """The polygon (n 2) in the coordinates of its pane; both panes show the same plane, so it fits either.

    Raises OutlineError as `place_on_screen`, and when the polygon does not lie inside the pane that it was drawn on.
    """
    placed = place_on_screen(outline, view)
    box = _choose_pane(placed, view)
    if not _inside(placed.polygon, box):
        others = {name: pane for name, pane in (("contrast", view.contrast), ("bmode", view.bmode)) if pane != box}
        lies = next((name for name, pane in others.items() if pane and _inside(placed.polygon, pane)), None)
        raise OutlineError(
            "outline-outside-frame",
            f"the outline lies inside the {placed.pane} pane (x {box[0]}-{box[2]}, y {box[1]}-{box[3]})",
            _format_extent(placed.polygon),
            f"write {lies} in outline_pane: it lies on that pane"
            if lies
            else "draw it again on this clip in full-screen pixels, or correct outline_pane",
        )
    return placed.polygon - np.array(box[:2], dtype=np.float64)


def _find_cropped_pane(outline: Outline, view: View) -> Box:
    """The pane whose size a picture has: the one that the table names, else either, since they show the same plane."""
    panes = {"contrast": view.contrast, "bmode": view.bmode}
    named = panes if outline.pane == "screen" else {outline.pane: panes[outline.pane]}
    fitting = [box for box in named.values() if box and (box[3] - box[1], box[2] - box[0]) == outline.screen]
    if fitting:
        return fitting[0]
    rows, columns = outline.screen or (0, 0)
    raise OutlineError(
        "outline-size",
        f"the outline belongs to a screen of {view.columns} x {view.rows} pixels like its clip, or to one of its panes",
        f"{columns} x {rows}",
        "draw it on an unscaled frame of the first clip of this row",
    )


def _choose_pane(outline: Outline, view: View) -> Box:
    if view.bmode is None or outline.pane == "contrast":
        return view.contrast
    if outline.pane == "bmode":
        return view.bmode
    x, y = outline.polygon.mean(axis=0)
    left, top, right, bottom = view.bmode
    return view.bmode if left <= x < right and top <= y < bottom else view.contrast


def _resolve_frame(manifest: int | None, stated: int | None) -> int:
    if manifest is not None and stated is not None and manifest != stated:
        one_apart = "; one of the two counts from 1" if abs(manifest - stated) == 1 else ""
        raise OutlineError(
            "outline-frame-disagrees",
            "outline_frame equals the frame that the outline's file states",
            f"{manifest} in the table, {stated} in the file (both counted from 0{one_apart})",
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


def _check_name(manifest: int | None, drawing: Drawing, path: Path) -> None:
    """Holds the table's frame against the number in a picture's name, which counts from 0 or from 1."""
    number = find_frame_number(path.name) if drawing.frame_in_name is None else drawing.frame_in_name
    if manifest is None or drawing.frame is not None or number is None or manifest in (number, number - 1):
        return
    raise OutlineError(
        "outline-frame-disagrees",
        "outline_frame is the frame that the name of the outlined picture states",
        f"{manifest} in the table (counted from 0), {number} in the name",
        "correct outline_frame, or outline the frame that it names",
    )


def _check_polygon(polygon: F64) -> None:
    if len(polygon) < 3:
        raise malformed_error("an outline has at least 3 points", f"{len(polygon)}")
    if not np.isfinite(polygon).all() or np.abs(polygon).max() > 1e6:
        raise malformed_error("points are finite pixel positions", "another number")
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


def _format_extent(polygon: F64) -> str:
    x0, y0, x1, y1 = bounding_box(polygon)
    return f"x {x0:.0f} to {x1:.0f}, y {y0:.0f} to {y1:.0f}"


def _area(polygon: F64) -> float:
    x, y = polygon[:, 0], polygon[:, 1]
    return 0.5 * abs(float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))))
