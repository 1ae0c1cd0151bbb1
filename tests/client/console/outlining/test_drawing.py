"""A radiologist's way: sign, open, draw, see, accept; and what is then in the files."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_outlining import SQUARE
from small_hospital import SmallHospital

from ceus_models.runtime.errors import ExpectedError
from client.console.outlining.drawing import Drawing
from client.data.analysis.pipeline import build_doubtful_sample
from client.data.forms.site_config import load_site
from client.data.table.manifest import read_manifest

POINTS = SQUARE.tolist()
SHIFTED = (SQUARE + 2.0).tolist()


def drawing_of(made: SmallHospital) -> Drawing:
    drawing = Drawing(load_site(made.write()))
    drawing.sign("  Dr.   Chen ")
    return drawing


@pytest.fixture
def bare(tmp_path: Path) -> Iterator[tuple[SmallHospital, Drawing]]:
    """Two lesions in one clip, both without outline; the table holds a frame from another one."""
    made = SmallHospital(tmp_path, 2)
    for row in made.rows:
        row |= {
            "clips": "clips/0.avi",
            "patient_id": "P0",
            "outline": "",
            "outline_frame": "7",
            "outline_pane": "bmode",
        }
    drawing = drawing_of(made)
    yield made, drawing
    drawing.close()


def follow(drawing: Drawing, line: int, points: list[Any], frame: int) -> dict[str, Any]:
    drawing.start_trace(line, points, frame)
    while (found := drawing.open(line).read_trace(line))["state"] == "working":
        time.sleep(0.05)
    return found


def test_what_is_accepted_is_what_the_index_reads(bare: tuple[SmallHospital, Drawing]) -> None:
    _, drawing = bare
    assert drawing.reader == "Dr. Chen"
    assert drawing.describe(2)["outlines"] == []
    found = follow(drawing, 2, POINTS, 3)
    answer = drawing.save(2, POINTS, 3)
    assert answer["hint"] == ""
    (one,) = answer["outlines"]
    assert (one["reader"], one["frame"], one["used"], one["polygon"]) == ("Dr. Chen", 3, True, POINTS)
    row = next(row for row in read_manifest(drawing.site).rows if row.line == 2)
    assert row.outline.path.name == one["name"]
    assert row.outline.frame is None, "the file states it, so the table's other frame was cleared"
    _, trace = build_doubtful_sample(row, drawing.site, drawing._processing())
    assert found["smoothed"] == trace.smoothed.tolist()
    assert found["chosen"] == trace.chosen.tolist()
    assert [(other["line"], len(other["outlines"])) for other in drawing.describe(3)["others"]] == [(2, 1)]


def test_the_same_polygon_as_a_file_gives_the_same_sample(tmp_path: Path) -> None:
    made = SmallHospital(tmp_path, 1)
    drawing = drawing_of(made)
    try:
        site, processing = drawing.site, drawing._processing()
        as_file, _ = build_doubtful_sample(read_manifest(site).rows[0], site, processing)
        drawing.save(2, POINTS, 3)
        drawing.use(2, next(one["name"] for one in drawing.describe(2)["outlines"] if one["reader"]))
        drawn_row = read_manifest(site).rows[0]
        assert drawn_row.outline.path.parent.name == "clips"
        drawn, _ = build_doubtful_sample(drawn_row, site, processing)
        for name in ("frames", "flow", "curve"):
            assert np.array_equal(getattr(as_file, name), getattr(drawn, name)), name
        assert (as_file.key, as_file.quality) == (drawn.key, drawn.quality)
    finally:
        drawing.close()


def test_two_readers_and_their_agreement(bare: tuple[SmallHospital, Drawing]) -> None:
    made, drawing = bare
    first = drawing.save(2, POINTS, 3)["outlines"][0]
    before = (made.folder / "clips" / first["name"]).read_bytes()
    table = (made.folder / "lesions.csv").read_bytes()
    drawing.sign("Dr. Wang")
    answer = drawing.save(2, SHIFTED, 4)
    assert [(one["reader"], one["used"]) for one in answer["outlines"]] == [("Dr. Chen", True), ("Dr. Wang", False)]
    assert (made.folder / "clips" / first["name"]).read_bytes() == before
    assert (made.folder / "lesions.csv").read_bytes() == table, "the first one stays the study's"
    (pair,) = answer["agreement"]
    assert pair["readers"] == ["Dr. Chen", "Dr. Wang"]
    assert pair["frames"] == [3, 4]
    assert pair["dice"] == pytest.approx(28 * 28 / (30 * 30), abs=0.02), "squares of 30 px, 2 px apart both ways"
    assert pair["hausdorff"] == pytest.approx(2 * np.sqrt(2), abs=0.05)
    assert pair["unit"] == "px"
    used = drawing.use(2, answer["outlines"][1]["name"])
    assert [(one["reader"], one["used"]) for one in used["outlines"]] == [("Dr. Wang", True), ("Dr. Chen", False)]
    assert used["hint"] == f"The table named clips/{first['name']} before."
    for name in ("../../site.yaml", used["outlines"][0]["name"]):
        with pytest.raises(ExpectedError, match="found none"):
            drawing.use(2, name)


def test_another_outline_takes_back_what_was_said_of_the_track(tmp_path: Path) -> None:
    made = SmallHospital(tmp_path, 1)
    drawing = drawing_of(made)
    try:
        table = made.folder / "lesions.csv"
        drawing.confirm_track(2)
        assert read_manifest(drawing.site).rows[0].track_checked
        name = drawing.save(2, SHIFTED, 3)["outlines"][1]["name"]
        assert read_manifest(drawing.site).rows[0].track_checked, "it is not the table's"
        drawing.use(2, name)
        assert not read_manifest(drawing.site).rows[0].track_checked
        assert "outlines/0.json" not in table.read_text()
    finally:
        drawing.close()


def test_a_doubted_track_is_on_the_worklist_at_once(
    bare: tuple[SmallHospital, Drawing], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, drawing = bare
    follow(drawing, 2, POINTS, 3)
    doubted = {"state": "done", "doubts": ["the box is held in 80% of the frames"]}
    monkeypatch.setattr(drawing.open(2), "read_trace", lambda line: doubted)
    drawing.save(2, SHIFTED, 3)
    states = {item.case.line: item.state for item in drawing.worklist.list_items()}
    assert states == {2: "done", 3: "outline"}, "that was another outline's track"
    drawing.save(2, POINTS, 3)
    states = {item.case.line: item.state for item in drawing.worklist.list_items()}
    assert states == {2: "doubtful", 3: "outline"}


def test_nothing_else_is_saved(bare: tuple[SmallHospital, Drawing]) -> None:
    made, drawing = bare
    before = {path: path.read_bytes() for path in made.folder.rglob("*") if path.is_file()}
    for points, frame, said in (
        (POINTS, 24, "one of the first clip, 0 to 23"),
        (POINTS, -1, "one of the first clip"),
        (POINTS, True, "one of the first clip"),
        (POINTS, "3", "one of the first clip"),
        (POINTS[:2], 3, "3 to 2000 points"),
        ([[0, 0], [900, 0], [900, 30]], 3, "inside the pane"),
    ):
        for work in (drawing.save, drawing.start_trace):
            with pytest.raises(ExpectedError, match=said):
                work(2, points, frame)
    assert before == {path: path.read_bytes() for path in made.folder.rglob("*") if path.is_file()}


def test_an_outline_is_signed(bare: tuple[SmallHospital, Drawing]) -> None:
    _, drawing = bare
    drawing.reader = ""
    with pytest.raises(ExpectedError, match="give the reader's name"):
        drawing.save(2, POINTS, 3)
    for name in ("", "  ", "x" * 61, "a\x00b"):
        with pytest.raises(ExpectedError, match="1 to 60 characters"):
            drawing.sign(name)


def test_a_table_that_is_a_workbook_gets_words_and_the_outline_is_kept(
    bare: tuple[SmallHospital, Drawing], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, drawing = bare

    def refuse(*_: object) -> None:
        raise ExpectedError("only a CSV table is written here; write clips/x.json in outline of row 2")

    monkeypatch.setattr("client.console.outlining.drawing.write_cells", refuse)
    answer = drawing.save(2, POINTS, 3)
    assert answer["hint"].startswith("The outline is saved. only a CSV table")
    assert [one["reader"] for one in answer["outlines"]] == ["Dr. Chen"]


def test_lesions_of_one_clip_share_what_is_open_and_few_are_open(tmp_path: Path) -> None:
    made = SmallHospital(tmp_path, 5)
    made.rows[1] |= {"clips": "clips/0.avi", "patient_id": "P0"}
    drawing = drawing_of(made)
    try:
        assert drawing.open(2) is drawing.open(3)
        first, second, third = drawing.open(4), drawing.open(5), drawing.open(2)
        assert drawing.open(4) is first
        drawing.open(6)
        assert (first.closed, second.closed, third.closed) == (False, True, False), "not looked at for longest"
        assert drawing.draw_frame(5, 0).startswith(b"\xff\xd8"), "and it is opened anew"
    finally:
        drawing.close()


def test_a_file_made_elsewhere_opens_too(tmp_path: Path) -> None:
    made = SmallHospital(tmp_path, 1)
    document = json.loads(made.path(0, "outline").read_bytes())
    shutil.move(made.path(0, "outline"), tmp_path / "outlines" / "elsewhere.json")
    (tmp_path / "outlines" / "elsewhere.json").write_text(json.dumps({**document, "frame": 3}))
    made.rows[0] |= {"outline": "outlines/elsewhere.json", "outline_frame": "3"}
    drawing = drawing_of(made)
    try:
        (one,) = drawing.describe(2)["outlines"]
        assert (one["called"], one["used"], one["frame"], one["polygon"]) == ("made elsewhere", True, 3, POINTS)
    finally:
        drawing.close()
