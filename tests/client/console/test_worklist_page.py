"""The worklist: exams that the table lacks become rows by a button, and the index that must follow is made by one."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from made_export import write_clip
from made_site_console import SiteDesk
from small_hospital import SmallHospital

from client.console.outlining.drawing import Drawing
from client.data.dataset.index_file import read_index
from client.data.forms.site_config import load_site
from client.data.scan.scan import ScanJob, scan_export


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[SiteDesk, Drawing]]:
    (tmp_path / "site").mkdir()
    made = SmallHospital(tmp_path / "site", 2)
    drawings: list[Drawing] = []
    monkeypatch.setattr("client.console.app.Drawing", lambda site: drawings.append(Drawing(site)) or drawings[-1])
    desk = SiteDesk(made.write())
    desk.sign_in()
    yield desk, drawings[0]
    drawings[0].worklist.wait()
    drawings[0].indexing.wait()
    drawings[0].close()


def press(desk: SiteDesk, name: str, **given: str) -> int:
    return desk.post(f"/outlining/{name}", {"form": desk.session.form, **given}).status


def test_a_study_that_came_in_is_listed_and_becomes_a_row_when_it_is_asked_for(
    desk: tuple[SiteDesk, Drawing], tmp_path: Path
) -> None:
    page, drawing = desk
    site, table = drawing.site, drawing.site.table.read_bytes()
    assert "Exams that the table lacks" not in page.get("/outlining").text
    received = site.folder / "clips" / "received" / "0a1b"
    write_clip(received / "2c3d.dcm", 1)
    scan_export(ScanJob(received.parent, site, False, 0), lambda step: lambda done, total: None)
    text = page.get("/outlining").text
    assert site.table.read_bytes() == table, "a look writes nothing"
    (clips,) = re.findall(r'name="clips" value="([^"]+)"', text)
    assert page.bare("/outlining/add", "POST").status == 401
    assert page.post("/outlining/add", {"form": "another", "clips": clips}).status == 403
    assert press(page, "add", clips="clips/none.dcm") == 409
    assert site.table.read_bytes() == table
    assert press(page, "add", clips=clips) == 303
    assert site.table.read_bytes().startswith(table)
    text = page.get("/outlining").text
    assert "Exams that the table lacks" not in text
    assert "L0001" in text, "it is a lesion of the worklist now"


def test_what_must_follow_is_said_and_done(desk: tuple[SiteDesk, Drawing]) -> None:
    page, drawing = desk
    assert "found no index" in page.get("/outlining").text
    assert press(page, "index") == 303
    drawing.indexing.wait()
    assert (drawing.indexing.trouble, drawing.indexing.done, drawing.indexing.count) == ("", 2, 2)
    assert len(read_index(drawing.site).files) == 2
    text = page.get("/outlining").text
    assert "Make the samples" not in text
    assert "the outlines as they are" in text
    case = next(iter(drawing.worklist.list_items())).case
    assert case.outline is not None
    os.utime(case.outline.path)
    assert "outlines have changed since the index was made" in page.get("/outlining").text
    drawing.site.table.write_bytes(drawing.site.table.read_bytes() + b"\n")
    assert "another table" in page.get("/outlining").text


def test_an_index_that_cannot_be_made_says_why(desk: tuple[SiteDesk, Drawing]) -> None:
    page, drawing = desk
    for path in (drawing.site.folder / "clips").iterdir():
        path.write_bytes(b"spoilt")
    assert press(page, "index") == 303
    drawing.indexing.wait()
    assert "max_skipped" in drawing.indexing.trouble
    text = page.get("/outlining").text
    assert "max_skipped" in text
    assert "Make the samples" in text, "it can be asked again"
    assert load_site(drawing.site.folder).table.exists()
