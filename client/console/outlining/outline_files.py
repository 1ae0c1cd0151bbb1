"""Files of outlines that were drawn here: LabelMe's JSON beside the clip, one a lesion and reader.

LabelMe keeps keys that it does not know, so frame, lesion, reader and time stand beside its own. The picture is in the
file, so that LabelMe opens it without the clip.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ceus_models.runtime.atomic_files import write_atomically
from ceus_models.runtime.errors import ExpectedError
from client.console.outlining.cases import Case
from client.data.imaging.recording import F64
from client.data.outlines.annotation import LESION, OutlineError
from client.data.outlines.outline import Outline, View, place_in_pane, read_outline

_SAFE = re.compile(r"[^\w-]+")
_MOST_CHARACTERS = 60
_LABELME = "5.5.0"
"""The version of the form, as LabelMe writes it."""


@dataclass(frozen=True, slots=True)
class DrawnOutline:
    """An outline of a lesion that there is, whoever made it.

    Attributes:
        name: Name of its file, "" where the table's outline cannot be used.
        reader: Who drew it, "" where its file does not say.
        at: When, ISO 8601, "" likewise.
        frame: 0-based frame of the first clip.
        polygon: f64 (n 2), px, in the coordinates of the pane.
        used: Whether the table names it.
    """

    name: str
    reader: str
    at: str
    frame: int
    polygon: F64 = field(repr=False)
    used: bool


def name_outline(case: Case, reader: str) -> Path:
    """The file of a reader's outline, beside the first clip: <clip>.<lesion>.<reader>.json."""
    lesion, who = _make_safe(case.lesion_id), _make_safe(reader.casefold())
    return case.first_clip.with_name(f"{case.first_clip.name}.{lesion}.{who}.json")


def _make_safe(text: str) -> str:
    """A text as a part of a file's name; where that changes it, a part of its digest keeps two texts apart."""
    safe = _SAFE.sub("-", text)[:_MOST_CHARACTERS]
    return safe if safe == text else f"{safe}-{hashlib.sha256(text.encode()).hexdigest()[:6]}"


def save_outline(case: Case, outline: Outline, signature: tuple[str, str], picture: bytes) -> Path:
    """Write an outline whole, over the same reader's earlier one.

    Args:
        outline: On the whole screen.
        signature: The reader's name, and the time, ISO 8601.
        picture: The outlined frame as PNG, of the screen's size.

    Raises:
        ExpectedError: the file of that name is another lesion's, or it cannot be written.
    """
    path = name_outline(case, signature[0])
    if path.exists() and _read_keys(path).get("lesion_id") != case.lesion_id:
        raise ExpectedError(
            "expected no file, or this reader's own outline, at the outline's place beside the clip, found another; "
            "move it away"
        )
    document = make_document(case, outline, signature, picture)
    try:
        write_atomically(path, json.dumps(document, ensure_ascii=False, indent=1).encode())
    except OSError as error:
        raise ExpectedError(
            f"the outline cannot be written beside its clip ({error.strerror}); let this account write to that folder"
        ) from None
    return path


def make_document(case: Case, outline: Outline, signature: tuple[str, str], picture: bytes) -> dict[str, Any]:
    """The content of the file."""
    reader, at = signature
    rows, columns = outline.screen or (0, 0)
    shape = {
        "label": LESION,
        "points": np.round(outline.polygon, 2).tolist(),
        "group_id": None,
        "description": f"{reader}, {at}",
        "shape_type": "polygon",
        "flags": {},
        "mask": None,
    }
    return {
        "version": _LABELME,
        "flags": {},
        "shapes": [shape],
        "imagePath": f"{case.first_clip.name}.frame_{outline.frame:06d}.png",
        "imageData": base64.b64encode(picture).decode(),
        "imageHeight": rows,
        "imageWidth": columns,
        "frame": outline.frame,
        "lesion_id": case.lesion_id,
        "reader": reader,
        "drawn_at": at,
    }


def list_outlines(case: Case, view: View) -> tuple[list[DrawnOutline], str]:
    """The outlines of a lesion, the table's first, then those drawn here; why the table's cannot be used, or ""."""
    found, trouble = [], ""
    if case.outline is not None:
        try:
            spec = case.outline
            found.append(_load(spec.path, (spec.frame, spec.pane), view, used=True))
        except OutlineError as error:
            trouble = str(error)
    used = {one.name for one in found}
    for path in _list_own(case):
        try:
            if path.name not in used:
                found.append(_load(path, (None, "screen"), view, used=False))
        except OutlineError as error:
            trouble = trouble or str(error)
    return found, trouble


def _list_own(case: Case) -> list[Path]:
    begin = f"{case.first_clip.name}.{_make_safe(case.lesion_id)}."
    names = [path for path in case.first_clip.parent.iterdir() if path.name.startswith(begin)]
    own = [path for path in names if path.suffix == ".json" and path.name[len(begin) :].count(".") == 1]
    return sorted(path for path in own if _read_keys(path).get("lesion_id") == case.lesion_id)


def _load(path: Path, told: tuple[int | None, str], view: View, used: bool) -> DrawnOutline:
    """told: frame and pane, as the table has them."""
    outline = read_outline(path, *told)
    keys = _read_keys(path)
    reader, at = (str(keys.get(name, "")) for name in ("reader", "drawn_at"))
    return DrawnOutline(path.name, reader, at, outline.frame, place_in_pane(outline, view), used)


def _read_keys(path: Path) -> dict[str, Any]:
    """The keys of a JSON file, none where it is another kind of file."""
    try:
        document = json.loads(path.read_bytes()) if path.suffix.casefold() == ".json" else {}
    except (OSError, ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}
