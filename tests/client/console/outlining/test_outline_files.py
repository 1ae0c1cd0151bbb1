"""An outline is a LabelMe file beside its clip, one a lesion and reader, that every reader of outlines opens."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from small_hospital import COLUMNS_PX, FRAMES, ROWS, SmallHospital

from ceus_models.runtime.errors import ExpectedError
from client.console.outlining.cases import Case, find_case
from client.console.outlining.outline_files import list_outlines, name_outline, save_outline
from client.data.forms.site_config import load_site
from client.data.outlines.outline import Outline, View, place_in_pane, read_outline

VIEW = View(ROWS, COLUMNS_PX, FRAMES, (0, 16, 80, 96), (80, 16, 160, 96))
POLYGON = np.array([[20.0, 40.0], [50.5, 40.25], [50.0, 70.0]])
OUTLINE = Outline(5, POLYGON, "screen", (ROWS, COLUMNS_PX))
PICTURE = cv2.imencode(".png", np.zeros((ROWS, COLUMNS_PX), np.uint8))[1].tobytes()


def case_of(folder: Path, lesion: str = "L0") -> Case:
    made = SmallHospital(folder, 1)
    made.rows[0]["lesion_id"] = lesion
    return find_case(load_site(made.write()), 2)


def test_the_file_is_read_as_it_was_drawn(tmp_path: Path) -> None:
    case = case_of(tmp_path)
    path = save_outline(case, OUTLINE, ("Dr. Chen", "2026-03-01T10:00:00+00:00"), PICTURE)
    assert path.parent == case.first_clip.parent
    assert path.name.startswith("0.avi.L0.dr-chen-")
    found = read_outline(path, None, "screen")
    assert (found.frame, found.screen, found.polygon.tolist()) == (5, (ROWS, COLUMNS_PX), POLYGON.tolist())
    assert place_in_pane(found, VIEW).tolist() == (POLYGON - np.array([0, 16])).tolist()
    assert path.stat().st_mode & 0o777 == 0o600


def test_it_has_what_labelme_needs_and_who_drew_it_when(tmp_path: Path) -> None:
    case = case_of(tmp_path)
    path = save_outline(case, OUTLINE, ("李医生", "2026-03-01T10:00:00+00:00"), PICTURE)
    document = json.loads(path.read_bytes())
    assert {"version", "flags", "shapes", "imagePath", "imageData", "imageHeight", "imageWidth"} <= set(document)
    assert document["flags"] == {}
    (shape,) = document["shapes"]
    assert (shape["label"], shape["shape_type"], shape["group_id"]) == ("lesion", "polygon", None)
    assert shape["description"] == "李医生, 2026-03-01T10:00:00+00:00"
    assert (document["reader"], document["drawn_at"]) == ("李医生", "2026-03-01T10:00:00+00:00")
    assert (document["lesion_id"], document["frame"]) == ("L0", 5)
    picture = cv2.imdecode(np.frombuffer(base64.b64decode(document["imageData"]), np.uint8), cv2.IMREAD_GRAYSCALE)
    assert picture is not None
    assert picture.shape == (document["imageHeight"], document["imageWidth"])


def test_each_lesion_and_reader_has_a_file_and_odd_names_do_not_meet(tmp_path: Path) -> None:
    case = case_of(tmp_path, "../../L 1")
    names = {name_outline(case, reader) for reader in ("ann", "a/nn", "a nn", "a.nn", "an n")}
    assert len(names) == 5
    assert {path.parent for path in names} == {case.first_clip.parent}
    assert name_outline(case, "ANN") == name_outline(case, "Ann"), "some disks know no capital letters"


def test_a_reader_overwrites_the_own_outline_only(tmp_path: Path) -> None:
    case = case_of(tmp_path)
    first = save_outline(case, OUTLINE, ("ann", "1"), PICTURE)
    before = first.read_bytes()
    second = save_outline(case, OUTLINE, ("bob", "2"), PICTURE)
    assert second != first
    assert first.read_bytes() == before
    save_outline(case, Outline(6, POLYGON, "screen", OUTLINE.screen), ("ann", "3"), PICTURE)
    assert json.loads(first.read_bytes())["frame"] == 6
    second.write_text(json.dumps({**json.loads(second.read_bytes()), "lesion_id": "another"}))
    with pytest.raises(ExpectedError, match="found another; move it away"):
        save_outline(case, OUTLINE, ("bob", "4"), PICTURE)
    assert json.loads(second.read_bytes())["lesion_id"] == "another"


def test_outlines_are_listed_the_tables_first(tmp_path: Path) -> None:
    case = case_of(tmp_path)
    save_outline(case, OUTLINE, ("bob", "2"), PICTURE)
    save_outline(case, OUTLINE, ("ann", "1"), PICTURE)
    (case.first_clip.parent / "0.avi.L0.notes.json").write_text("[]")
    (case.first_clip.parent / "0.avi.L0.eve.json").write_text(json.dumps({"lesion_id": "L9", "shapes": []}))
    found, trouble = list_outlines(case, VIEW)
    assert [(one.reader, one.used, one.frame) for one in found] == [("", True, 8), ("ann", False, 5), ("bob", False, 5)]
    assert trouble == ""
    assert case.outline is not None
    case.outline.path.write_text("{}")
    found, trouble = list_outlines(case, VIEW)
    assert [one.reader for one in found] == ["ann", "bob"]
    assert "JSON of LabelMe" in trouble
