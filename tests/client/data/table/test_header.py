"""The header's row is stated or named; no byte order mark becomes part of a name; nothing that stands is proposed."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from made_tables import NAMES, Tables

from client.data.forms.columns import READS
from client.data.forms.site_config import SiteConfig, load_site
from client.data.table.manifest import Manifest, read_manifest
from client.data.table.reads import read_reads

TITLES: list[list[list[Any]]] = [[["2021 CEUS"]], [["肝脏造影登记表"], ["", "", "patients", "", "labs"]]]


def csv_site(tables: Tables, above: list[list[Any]]) -> SiteConfig:
    tables.write_site()
    with (tables.folder / "lesions.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([*above, *tables.cells()])
    return load_site(tables.folder)


def xlsx_site(tables: Tables, above: list[list[Any]]) -> SiteConfig:
    tables.yaml += "table: lesions.xlsx\n"
    tables.write_site()
    book = openpyxl.Workbook()
    for cells in [*above, *tables.cells()]:
        book.active.append(cells)
    book.active.merge_cells(start_row=1, end_row=1, start_column=1, end_column=len(NAMES))
    book.save(tables.folder / "lesions.xlsx")
    return load_site(tables.folder)


def reasons(manifest: Manifest) -> list[tuple[int | None, str, str]]:
    return [(fault.row, fault.reason, fault.remedy) for fault in manifest.faults]


@pytest.mark.parametrize("above", TITLES)
@pytest.mark.parametrize("make", [csv_site, xlsx_site])
def test_titles_above_the_header_are_one_fault_that_names_its_row(tmp_path: Path, above: Any, make: Any) -> None:
    row = len(above) + 1
    manifest = read_manifest(make(Tables(tmp_path), above))
    remedy = f"write header_row: {{table: {row}}} in site.yaml, or delete the rows above it"
    assert reasons(manifest) == [(1, "header-row", remedy)]
    assert f"row {row}" in manifest.faults[0].value
    tables = Tables(tmp_path)
    tables.yaml += f"header_row: {row}\n"
    found = read_manifest(make(tables, above))
    assert found.faults == ()
    assert [one.line for one in found.rows] == [row + 1, row + 2, row + 3, row + 4]


def test_a_row_that_is_stated_wrongly_is_corrected(tmp_path: Path) -> None:
    for stated in (2, 4, 900):
        tables = Tables(tmp_path)
        tables.yaml += f"header_row: {stated}\n"
        assert reasons(read_manifest(csv_site(tables, [])))[0][1:] == (
            "header-row",
            "write header_row: {table: 1} in site.yaml",
        )


def test_blank_lines_above_a_header_are_no_title(tmp_path: Path) -> None:
    manifest = read_manifest(csv_site(Tables(tmp_path), [[], ["", ""]]))
    assert manifest.faults == ()
    assert manifest.rows[0].line == 4


def test_faults_of_the_header_have_its_row(tmp_path: Path) -> None:
    tables = Tables(tmp_path)
    tables.yaml += "header_row: 2\n"
    tables.headers |= {"CK7": "CK 7", "ALB": "ALB (spoons)"}
    manifest = read_manifest(csv_site(tables, TITLES[0]))
    assert {(fault.row, fault.reason) for fault in manifest.faults} == {(2, "missing-column"), (2, "wrong-unit")}
    assert [one.row for one in manifest.suggestions] == [2]


def test_the_table_of_diagnoses_has_a_header_row_of_its_own(tmp_path: Path) -> None:
    tables = Tables(tmp_path)
    tables.yaml += "header_row: {reads: 2}\n"
    site = tables.site()
    text = io.StringIO(newline="")
    read = ["L0", "junior1", "junior", "no", "HCC", "40"]
    csv.writer(text).writerows([["diagnoses of 2021"], [column.name for column in READS], read])
    site.reads.write_text(text.getvalue(), encoding="utf-8")
    reads, faults = read_reads(site, {"L0"})
    assert ([one.lesion_id for one in reads], faults) == (["L0"], [])


# Byte order marks


@pytest.mark.parametrize("encoding", ["utf-8", "gb18030"])
@pytest.mark.parametrize("marks", [1, 2])
def test_marks_of_utf_8_are_no_part_of_a_name_whatever_is_stated(tmp_path: Path, encoding: str, marks: int) -> None:
    """`reads.csv` as `ceus-site init` writes it has one, and a file that was saved twice has two."""
    tables = Tables(tmp_path)
    tables.yaml += f"encoding: {encoding}\n"
    site = tables.site()
    site.table.write_bytes("\ufeff".encode() * marks + site.table.read_bytes())
    assert read_manifest(site).faults == ()
    quoted = site.table.read_bytes().replace(b"lesion_id", b'"lesion_id"')
    site.table.write_bytes(quoted)
    assert read_manifest(site).faults == ()


def test_a_mark_of_gb18030_is_no_part_of_a_name(tmp_path: Path) -> None:
    tables = Tables(tmp_path)
    tables.yaml += "encoding: gb18030\n"
    tables.rows[0]["patient_id"] = "张伟"
    site = tables.site("gb18030")
    site.table.write_bytes("\ufeff".encode("gb18030") + site.table.read_bytes())
    manifest = read_manifest(site)
    assert manifest.faults == ()
    assert manifest.rows[0].patient_id == "张伟"


@pytest.mark.parametrize("make", [csv_site, xlsx_site])
def test_invisible_characters_around_names_and_ids_are_left_out(tmp_path: Path, make: Any) -> None:
    tables = Tables(tmp_path)
    tables.yaml += "header_row: 2\n"
    tables.headers |= {"fll_type": "\u200bfll_type", "ALB": "ALB (g/L)\ufeff", "patient_id": "\ufeffpatient_id"}
    tables.rows[0] |= {"patient_id": "\ufeffP1\u200b", "fll_type": "HCC\u200e"}
    tables.rows[1] |= {"patient_id": "P1"}
    manifest = read_manifest(make(tables, TITLES[0]))
    assert (manifest.faults, manifest.suggestions) == ((), ())
    assert [row.patient_id for row in manifest.rows[:2]] == ["P1", "P1"]


def test_each_table_has_an_encoding_of_its_own(tmp_path: Path) -> None:
    tables = Tables(tmp_path)
    tables.yaml += "encoding: {table: gb18030, reads: utf-8}\n"
    tables.rows[0]["patient_id"] = "张伟"
    site = tables.site("gb18030")
    header = ",".join(column.name for column in READS)
    site.reads.write_text(f"{header}\nL0,王,junior,no,HCC,40\n", encoding="utf-8")
    assert read_manifest(site).rows[0].patient_id == "张伟"
    reads, faults = read_reads(site, {"L0"})
    assert ([one.reader for one in reads], faults) == (["王"], [])
    site.reads.write_text(f"{header}\nL0,王,junior,no,HCC,40\n", encoding="gb18030")
    assert "encoding: {reads: gb18030}" in read_reads(site, {"L0"})[1][0].remedy


# Suggestions


@pytest.mark.parametrize("title", ["ＣＫ ７", "CK-7", "【CK7】", "ALBB（g/L）"])
def test_a_title_in_full_width_is_proposed_in_plain_letters(tmp_path: Path, title: str) -> None:
    tables = Tables(tmp_path)
    column = "ALB" if "ALB" in title else "CK7"
    tables.headers[column] = title
    (suggestion,) = read_manifest(tables.site()).suggestions
    assert (suggestion.present, suggestion.proposed) == (title, "ALB (g/L)" if column == "ALB" else "CK7")
