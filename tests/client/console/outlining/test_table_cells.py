"""Single cells of the hospital's table are written, and every other byte of it stays."""

from __future__ import annotations

import codecs
import dataclasses
from pathlib import Path

import pytest

from ceus_models.runtime.errors import ExpectedError
from client.console.outlining.table_cells import write_cells
from client.data.forms.columns import EXAM_COLUMNS
from client.data.forms.site_config import SiteConfig, load_site
from client.data.forms.table_format import TableFormat

HEAD = ",".join(EXAM_COLUMNS)
OUTLINE = EXAM_COLUMNS.index("outline")


@pytest.fixture
def site(tmp_path: Path) -> SiteConfig:
    (tmp_path / "site.yaml").write_text("schema: 1\ncenter: 5\nname: H\n")
    return load_site(tmp_path)


def row(lesion: str, outline: str = "") -> str:
    return f"{lesion},P1,2021-05-06,HM,GE,clips/1.avi,,10,{outline},3,contrast"


@pytest.mark.parametrize("mark", [b"", codecs.BOM_UTF8])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_only_the_cell_changes(site: SiteConfig, mark: bytes, end: str) -> None:
    lines = [HEAD, row('"L,1"'), "", row("病灶"), row('"two\nlines"'), row("L4")]
    site.table.write_bytes(mark + end.join(lines).encode())
    site.table.chmod(0o640)
    write_cells(site, 4, {"outline": 'clips/a "b".json', "outline_frame": ""})
    expected = [*lines[:3], '病灶,P1,2021-05-06,HM,GE,clips/1.avi,,10,"clips/a ""b"".json",,contrast', *lines[4:]]
    assert site.table.read_bytes() == mark + end.join(expected).encode()
    assert site.table.stat().st_mode & 0o777 == 0o640
    write_cells(site, 7, {"outline": "x.json"})
    assert site.table.read_bytes().endswith(row("L4", "x.json").encode()), "lines within cells count as lines"


def test_a_short_row_grows_to_the_cell(site: SiteConfig) -> None:
    site.table.write_text(f"{HEAD},track_checked\nL1,P1\n{row('L2')},\n")
    write_cells(site, 2, {"outline": "o.json", "track_checked": "yes"})
    assert site.table.read_text().splitlines()[1] == "L1,P1,,,,,,,o.json,,,yes"
    assert site.table.read_text().splitlines()[2] == f"{row('L2')},"


def test_another_encoding_is_kept(site: SiteConfig) -> None:
    chinese = dataclasses.replace(site, lesions_format=TableFormat("table", "gb18030"))
    site.table.write_bytes(f"{HEAD}\n{row('病灶')}\n".encode("gb18030"))
    write_cells(chinese, 2, {"outline": "剪辑/o.json"})
    assert site.table.read_bytes() == f"{HEAD}\n{row('病灶', '剪辑/o.json')}\n".encode("gb18030")


@pytest.mark.parametrize(
    ("text", "line", "cells", "said"),
    [
        (f"{HEAD}\n{row('L1')}\n", 2, {"track_checked": "yes"}, "lacks the column track_checked"),
        (f"{HEAD}\n{row('L1')}\n", 3, {"outline": "o.json"}, "write o.json in outline of row 3 of lesions.csv"),
        (f'{HEAD}\n{row("L1")}\n"open,', 2, {"outline": "o.json"}, "cannot be written here"),
    ],
)
def test_what_cannot_be_written_is_said_and_left_alone(
    site: SiteConfig, text: str, line: int, cells: dict[str, str], said: str
) -> None:
    site.table.write_text(text)
    with pytest.raises(ExpectedError, match=said):
        write_cells(site, line, cells)
    assert site.table.read_text() == text


def test_a_workbook_is_not_touched(site: SiteConfig) -> None:
    workbook = dataclasses.replace(site, table=site.folder / "lesions.xlsx")
    with pytest.raises(ExpectedError, match=r"write o\.json in outline; write nothing in outline_frame of row 7"):
        write_cells(workbook, 7, {"outline": "o.json", "outline_frame": ""})
