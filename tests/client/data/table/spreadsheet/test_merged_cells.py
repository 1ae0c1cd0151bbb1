"""Merged cells read as Excel shows them, in every row and column that they span."""

from __future__ import annotations

import io
import re
import time
import zipfile
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from made_tables import NAMES, Tables

from client.data.forms.site_config import load_site
from client.data.table.manifest import read_manifest
from client.data.table.spreadsheet.xlsx import WorkbookError, read_workbook


def merged_site(tables: Tables, *ranges: tuple[int, int, str, str]) -> Any:
    """ranges: first row, last row, first column, last column."""
    tables.workbook_site()
    path = tables.folder / "lesions.xlsx"
    book = openpyxl.load_workbook(path)
    for top, bottom, left, right in ranges:
        columns = {"start_column": NAMES.index(left) + 1, "end_column": NAMES.index(right) + 1}
        book.active.merge_cells(start_row=top, end_row=bottom, **columns)
    book.save(path)
    return load_site(tables.folder)


def test_a_patient_merged_over_lesions_of_one_clip_is_one_patient(tmp_path: Path) -> None:
    tables = Tables(tmp_path)
    tables.rows[1] |= {"patient_id": None, "clips": tables.rows[0]["clips"], "exam_date": None}
    manifest = read_manifest(merged_site(tables, (2, 3, "patient_id", "patient_id"), (2, 3, "exam_date", "exam_date")))
    assert manifest.faults == ()
    assert [row.patient_id for row in manifest.rows] == ["Zhang 0", "Zhang 0", "Zhang 2", "Zhang 3"]


def test_cells_merged_over_columns_have_one_value(tmp_path: Path) -> None:
    tables = Tables(tmp_path)
    tables.rows[2] |= {"Hep": "0"}
    manifest = read_manifest(merged_site(tables, (4, 4, "Hep", "CK19")))
    assert manifest.rows[2].biomarkers == (0.0, 0.0, 0.0, 0.0)
    assert str(manifest.rows[1].biomarkers[1]) == "nan"


def test_a_header_of_two_rows_with_merged_titles(tmp_path: Path) -> None:
    tables = Tables(tmp_path)
    tables.yaml += "table: lesions.xlsx\nheader_row: 2\n"
    tables.write_site()
    book, titles = openpyxl.Workbook(), tables.cells()[0]
    first = [title if name != "Hep" else "biomarkers" for name, title in tables.headers.items()]
    spanned = range(NAMES.index("Hep"), NAMES.index("CK19") + 1)
    for cells in (first, [title if place in spanned else None for place, title in enumerate(titles)]):
        book.active.append(cells)
    for cells in tables.cells()[1:]:
        book.active.append(cells)
    sheet = book.active
    sheet.merge_cells(start_row=1, end_row=1, start_column=spanned.start + 1, end_column=spanned.stop)
    for place in range(1, len(titles) + 1):
        if place - 1 not in spanned:
            sheet.merge_cells(start_row=1, end_row=2, start_column=place, end_column=place)
    book.save(tmp_path / "lesions.xlsx")
    manifest = read_manifest(load_site(tmp_path))
    assert manifest.faults == ()
    assert len(manifest.rows) == 4


def test_what_a_merged_range_hides_is_not_read(tmp_path: Path) -> None:
    """LibreOffice may keep the cells below; a row of merged cells alone is no record."""
    book = openpyxl.Workbook()
    for cells in (["a", "b"], ["P1", "x"], ["P2", "y"], [None, None]):
        book.active.append(cells)
    book.save(tmp_path / "a.xlsx")
    old = zipfile.ZipFile(tmp_path / "a.xlsx")
    text = io.BytesIO()
    with zipfile.ZipFile(text, "w") as new:
        for name in old.namelist():
            merge = b'</sheetData><mergeCells count="1"><mergeCell ref="A2:A5"/></mergeCells>'
            part = old.read(name)
            new.writestr(name, part.replace(b"</sheetData>", merge) if name.endswith("sheet1.xml") else part)
    assert read_workbook(text.getvalue(), 100) == [(1, ["a", "b"]), (2, ["P1", "x"]), (3, ["P1", "y"])]


def rebuilt(**parts: bytes) -> bytes:
    """A workbook with other parts: sheet, strings, styles."""
    book, plain, made = openpyxl.Workbook(), io.BytesIO(), io.BytesIO()
    book.active["A1"] = "lesion_id"
    book.save(plain)
    names = {"sheet": "xl/worksheets/sheet1.xml", "strings": "xl/sharedStrings.xml", "styles": "xl/styles.xml"}
    replaced = {names[key]: content for key, content in parts.items()}
    with zipfile.ZipFile(plain) as old, zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as new:
        for name in {*old.namelist(), *replaced}:
            content = replaced.get(name, b"") or old.read(name)
            kind = b"application/vnd.openxmlformats-officedocument.spreadsheetml.sharedStrings+xml"
            override = b'<Override PartName="/xl/sharedStrings.xml" ContentType="' + kind + b'"/></Types>'
            listed = name == "[Content_Types].xml" and "strings" in parts
            new.writestr(name, content.replace(b"</Types>", override) if listed else content)
    return made.getvalue()


NAMESPACE = b'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
MANY_STRINGS = b"<sst " + NAMESPACE + b">" + b"<si><t>a</t></si>" * 2_500_000 + b"</sst>"
MANY_CELLS = b"<worksheet " + NAMESPACE + b"><sheetData>" + b'<row r="1">' + b"<c><v>1</v></c>" * 2_000_000
MANY_STYLES = b"<styleSheet " + NAMESPACE + b"><cellXfs>" + b"<xf/>" * 8_000_000 + b"</cellXfs></styleSheet>"


@pytest.mark.parametrize(
    "part",
    [{"strings": MANY_STRINGS}, {"sheet": MANY_CELLS}, {"styles": MANY_STYLES}],
    ids=lambda part: next(iter(part)),
)
def test_millions_of_texts_cells_and_styles_are_refused_before_they_are_read(part: dict[str, bytes]) -> None:
    content = rebuilt(**part)
    begun = time.process_time()
    with pytest.raises(WorkbookError, match="at most 750000 cells and texts"):
        read_workbook(content, 50_000)
    assert time.process_time() - begun < 2


def test_merged_ranges_that_overlap_a_million_times_are_refused() -> None:
    rows = b'<row r="1"><c r="A1"><v>1</v></c></row>'
    merges = b'<mergeCell ref="A1:XFD1048576"/>' * 1000
    sheet = b"<worksheet " + NAMESPACE + b"><sheetData>" + rows + b"</sheetData><mergeCells>" + merges
    content = rebuilt(sheet=sheet + b"</mergeCells></worksheet>")
    assert len(re.findall(b"mergeCell ", merges)) == 1000
    with pytest.raises(WorkbookError, match="do not overlap"):
        read_workbook(content, 50_000)
