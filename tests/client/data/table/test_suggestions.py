"""Corrected cells are proposed in a file of their own; the table keeps every byte, and no fault has a cell's text."""

from __future__ import annotations

import csv
import stat
from pathlib import Path

import pytest
from made_tables import Tables

from ceus_models.runtime.errors import ExpectedError
from client.data.dataset.check import check_site
from client.data.table.cells import interpret_number
from client.data.table.manifest import read_manifest
from client.data.table.suggestions import HEADER, Suggestion, write_suggestions


def test_each_fault_that_can_be_mended_has_its_cell(tmp_path: Path) -> None:
    tables = Tables(tmp_path, 9)
    (tmp_path / "clips/Wang.avi").write_bytes(b"x")
    changes = [
        {"fll_type": "肝转移瘤"},
        {"exam_date": "03/04/2021"},
        {"ALB": "4.1"},
        {"AFP": "<0.8"},
        {"AFP": "1,210"},
        {"clips": "clips/wang.AVI"},
        {"outline": "A.json"},
        {"Hep": "未做"},
    ]
    for row, change in zip(tables.rows, changes, strict=False):
        row.update(change)
    tables.headers["CK7"] = "CK 7"
    site = tables.site()
    before = site.table.read_bytes()
    manifest = read_manifest(site)
    assert [(s.row, s.column, s.present, s.proposed) for s in manifest.suggestions] == [
        (1, "CK7", "CK 7", "CK7"),
        (2, "fll_type", "肝转移瘤", "HM"),
        (3, "exam_date", "03/04/2021", "2021-03-04 or 2021-04-03"),
        (4, "ALB", "4.1", "41"),
        (5, "AFP", "<0.8", "0.8"),
        (6, "AFP", "1,210", "1210"),
        (7, "clips", "clips/wang.AVI", "clips/Wang.avi"),
        (8, "outline", "A.json", "outlines/a.json"),
        (9, "Hep", "未做", ""),
    ]
    assert site.table.read_bytes() == before
    told = "\n".join(map(str, manifest.faults)) + repr(check_site(tmp_path)) + repr(manifest.suggestions[6])
    assert "wang" not in told.casefold()


def test_a_size_in_millimetres_below_centimetres_is_converted(tmp_path: Path) -> None:
    tables = Tables(tmp_path, 1)
    tables.rows[0]["tumor_size"] = "45"
    (suggestion,) = read_manifest(tables.site()).suggestions
    assert (suggestion.proposed, suggestion.why) == ("4.5", "it looks like mm")


@pytest.mark.parametrize(
    ("column", "unit", "written", "proposed", "why"),
    [
        ("ALB", "g/dL", "42.1", "4.21", "it looks like g/L"),
        ("ALB", "g/L", "4.21", "42.1", "it looks like g/dL"),
        ("tumor_size", "mm", "0.15", None, ""),
        ("AFP", "IU/mL", "0.08", None, ""),  # 0.0968 ng/mL: no unit makes that plausible, least of all its own
    ],
)
def test_the_unit_that_is_meant_is_never_the_one_that_is_stated(
    tmp_path: Path, column: str, unit: str, written: str, proposed: str | None, why: str
) -> None:
    tables = Tables(tmp_path, 1)
    tables.headers[column] = f"{column} ({unit})"
    tables.rows[0][column] = written
    manifest = read_manifest(tables.site())
    assert [fault.reason for fault in manifest.faults] == ["implausible-value"]
    assert [(s.proposed, s.why) for s in manifest.suggestions] == ([] if proposed is None else [(proposed, why)])


def test_all_paths_of_a_cell_are_corrected_in_one_suggestion(tmp_path: Path) -> None:
    """As where a table was made on another drive: each part alone would leave the others wrong."""
    tables = Tables(tmp_path, 1)
    for name in ("b", "c"):
        (tmp_path / f"clips/{name}.avi").write_bytes(name.encode())
    tables.rows[0] |= {"clips": "D:\\CEUS\\clips\\b.avi; D:\\CEUS\\clips\\c.avi", "clip_start_s": "0;90"}
    manifest = read_manifest(tables.site())
    assert [fault.reason for fault in manifest.faults] == ["path-outside-folder"] * 2
    assert [s.proposed for s in manifest.suggestions] == ["clips/b.avi; clips/c.avi"]


def test_a_folder_for_a_file_is_named_and_never_proposed_again(tmp_path: Path) -> None:
    """Of a folder with one file that is proposed, of one with several nothing is."""
    tables = Tables(tmp_path, 5)
    for name in ("DICOM/IM1", "SERIES/IM1", "SERIES/IM2", "empty/"):
        path = tmp_path / "clips" / name
        path.parent.mkdir(exist_ok=True)
        path.mkdir() if name.endswith("/") else path.write_bytes(name.encode())
    tables.rows[0]["clips"] = "clips/DICOM"
    tables.rows[1]["clips"] = "clips/SERIES/"
    tables.rows[2]["clips"] = "clips/series"
    tables.rows[3]["outline"] = "outlines"
    tables.rows[4] |= {"clips": "clips/4.dcm;clips/empty", "clip_start_s": "0;50"}
    manifest = read_manifest(tables.site())
    assert [(fault.row, fault.reason) for fault in manifest.faults] == [
        (2, "folder-for-file"),
        (3, "folder-for-file"),
        (4, "missing-clip"),
        (5, "folder-for-file"),
        (6, "folder-for-file"),
    ]
    assert [fault.value for fault in manifest.faults][::4] == ["clip 1 of 1 is a folder", "clip 2 of 2 is a folder"]
    assert [(s.row, s.proposed) for s in manifest.suggestions] == [(2, "clips/DICOM/IM1"), (5, "outlines/a.json")]


def test_one_path_that_is_the_end_of_another_is_corrected_alone(tmp_path: Path) -> None:
    tables = Tables(tmp_path, 1)
    tables.rows[0] |= {"clips": "0.dcm;clips/0.dcm", "clip_start_s": "0;90"}
    (suggestion,) = read_manifest(tables.site()).suggestions
    assert suggestion.proposed == "clips/0.dcm;clips/0.dcm"


def test_no_suggestion_is_what_stands_there(tmp_path: Path) -> None:
    """Whatever stands in a cell: the words of all columns, in their own and in other letters."""
    texts = [
        "clips",
        "clips/",
        "./clips/0.dcm",
        "CLIPS",
        "HCC",
        "hcc",
        "-",
        "yes",
        "男",
        "1,0",
        "4,1",
        "<0.8",
        "0.8",
        "m",
    ]
    for text in texts:
        tables = Tables(tmp_path / text.encode().hex(), 1)
        tables.rows[0] = dict.fromkeys(tables.headers, text)
        manifest = read_manifest(tables.site())
        assert [one for one in manifest.suggestions if one.present == one.proposed] == []


def test_the_file_is_its_owners_and_no_other_file_is_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "fix.csv"
    one = Suggestion(2, "ALB", "4,1", "4.1", "the comma may be a decimal point")
    write_suggestions(path, [one, one])
    write_suggestions(path, [one])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with path.open(encoding="utf-8-sig", newline="") as file:
        assert list(csv.reader(file)) == [list(HEADER), ["2", "ALB", "4,1", "4.1", one.why]]
    table = tmp_path / "lesions.csv"
    table.write_text("lesion_id\n", encoding="utf-8")
    with pytest.raises(ExpectedError, match="another kind of file"):
        write_suggestions(table, [one])
    assert table.read_text(encoding="utf-8") == "lesion_id\n"
    with pytest.raises(ExpectedError, match="cannot be written"):
        write_suggestions(tmp_path / "none" / "a.csv", [one])


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("<0.8", "0.8"),
        (">= 1210", "1210"),
        ("1,210", "1210"),
        ("4,1", "4.1"),
        ("38 g/L", "38"),
        ("about 4", None),
        ("Wang", None),
        ("1;2", None),
    ],
)
def test_numbers_that_are_probably_meant(text: str, number: str | None) -> None:
    assert interpret_number(text)[0] == number


def test_a_cell_that_is_a_formula_is_text_in_the_list(tmp_path: Path) -> None:
    path = tmp_path / "fix.csv"
    write_suggestions(path, [Suggestion(2, "AFP", "=cmd|' /C calc'!A0", "-1", "why")])
    assert path.read_text(encoding="utf-8-sig").splitlines()[1] == "2,AFP,'=cmd|' /C calc'!A0,-1,why"


def test_a_table_may_quote_what_a_spreadsheet_takes_for_a_formula(tmp_path: Path) -> None:
    tables = Tables(tmp_path, 2)
    tables.rows[0]["patient_id"], tables.rows[1]["patient_id"] = "'=7", "'7"
    assert [row.patient_id for row in read_manifest(tables.site()).rows] == ["=7", "'7"]
