"""The table in its encodings, in XLSX, with the hospital's own words; nothing is taken that was not declared."""

from __future__ import annotations

import datetime
import re
import time
import zipfile
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from made_tables import Tables

from ceus_models.study.taxonomy import CLINICAL_NAMES
from client.data.table.manifest import Manifest, read_manifest
from client.data.table.spreadsheet.xlsx import WorkbookError, read_workbook


@pytest.fixture
def tables(tmp_path: Path) -> Tables:
    return Tables(tmp_path)


def faults_of(manifest: Manifest) -> list[tuple[int | None, str, str]]:
    return [(fault.row, fault.column, fault.reason) for fault in manifest.faults]


def value(manifest: Manifest, name: str, index: int = 0) -> float:
    return manifest.rows[index].clinical[CLINICAL_NAMES.index(name)]


# The hospital's own words


def test_words_of_the_hospital_are_suggested_but_not_taken(tables: Tables) -> None:
    tables.rows[0]["fll_type"], tables.rows[1]["sex"], tables.rows[2]["Hep"] = "肝细胞癌", "男", "阳性"
    manifest = read_manifest(tables.site())
    assert faults_of(manifest) == [(2, "fll_type", "unknown-type"), (3, "sex", "bad-value"), (4, "Hep", "bad-value")]
    assert "肝细胞癌" in manifest.faults[0].value
    assert "labels" in manifest.faults[0].remedy
    assert [(s.row, s.present, s.proposed) for s in manifest.suggestions] == [
        (2, "肝细胞癌", "HCC"),
        (3, "男", "male"),
        (4, "阳性", "1"),
    ]


def test_words_are_taken_once_site_yaml_maps_them(tables: Tables) -> None:
    tables.yaml += """\
labels:
  fll_type: {肝细胞癌: HCC, "Hepatoma": HCC}
  sex: {男: male, 1: male, 2: female}
  Hep: {阳性: 1, "未做": ""}
  AFP: {"＜0.8": 0.8}
  cirrhosis: {有: yes}
"""
    changes = [
        {"fll_type": "肝细胞癌", "sex": "男"},
        {"fll_type": "HEPATOMA ", "sex": "1"},
        {"Hep": "未做", "AFP": "<0.8"},
    ]
    for row, change in zip(tables.rows, [*changes, {"cirrhosis": "有"}], strict=True):
        row.update(change)
    manifest = read_manifest(tables.site())
    assert manifest.faults == ()
    assert [row.label for row in manifest.rows] == ["HCC"] * 4
    assert value(manifest, "sex", 1) == 1.0
    assert str(manifest.rows[2].biomarkers[0]) == "nan"
    assert value(manifest, "cirrhosis", 3) == 1.0


def test_a_minus_in_a_biomarker_is_a_result_and_no_blank(tables: Tables) -> None:
    tables.rows[0]["CK7"] = "-"
    tables.rows[1]["cirrhosis"] = "-"
    manifest = read_manifest(tables.site())
    assert faults_of(manifest) == [(2, "CK7", "bad-value")]
    assert [suggestion.proposed for suggestion in manifest.suggestions] == ["0"]


# Optional columns


def test_a_single_clip_may_be_without_its_start(tables: Tables) -> None:
    tables.rows[0]["clip_start_s"] = ""
    tables.rows[1].update(clip_start_s="", clips="clips/1.dcm;clips/x.dcm")
    (tables.folder / "clips/x.dcm").write_bytes(b"")
    manifest = read_manifest(tables.site())
    assert faults_of(manifest) == [(3, "clip_start_s", "start-times")]
    assert [(row.timed, row.clips[0].start_s) for row in manifest.rows] == [(False, 0.0), (True, 3.0), (True, 3.0)]


def test_reinjection_and_a_looked_at_track(tables: Tables) -> None:
    tables.rows[0].update(reinjection_s="95.5", track_checked="yes")
    tables.rows[1].update(reinjection_s="soon")
    tables.rows[2].update(track_checked="looks fine")
    manifest = read_manifest(tables.site())
    assert faults_of(manifest) == [(3, "reinjection_s", "bad-number"), (4, "track_checked", "bad-value")]
    assert [(row.reinjection_s, row.track_checked) for row in manifest.rows] == [(95.5, True), (None, False)]
    del tables.headers["reinjection_s"], tables.headers["track_checked"]
    assert read_manifest(tables.site()).faults == ()


# Dates


def test_the_order_of_day_and_month_is_the_sites(tables: Tables) -> None:
    for row, text in zip(tables.rows, ("03/04/2021", "7.3.2021", "2021年3月7日", "44262"), strict=True):
        row["exam_date"] = text
    manifest = read_manifest(tables.site())
    assert faults_of(manifest) == [(2, "exam_date", "ambiguous-date")]
    assert manifest.suggestions[0].proposed == "2021-03-04 or 2021-04-03"
    assert {row.exam_date.isoformat() for row in manifest.rows} == {"2021-03-07"}
    tables.yaml += "dates: day-first\n"
    assert read_manifest(tables.site()).rows[0].exam_date.isoformat() == "2021-04-03"


# Encodings


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
def test_encodings(tables: Tables, encoding: str) -> None:
    tables.rows[0]["patient_id"] = "张伟"
    manifest = read_manifest(tables.site(encoding))
    if encoding != "gb18030":
        assert manifest.rows[0].patient_id == "张伟"
        return
    assert [fault.reason for fault in manifest.faults] == ["unreadable-table"]
    assert "encoding: {table: gb18030}" in manifest.faults[0].remedy
    tables.yaml += "encoding: gb18030\n"
    assert read_manifest(tables.site(encoding)).rows[0].patient_id == "张伟"


def test_a_table_in_another_encoding_than_declared_is_not_guessed(tables: Tables) -> None:
    tables.yaml += "encoding: gb18030\n"
    assert read_manifest(tables.site("utf-8")).faults == ()  # ASCII is both
    tables.rows[0]["patient_id"] = "张伟"
    assert "encoding: {table: utf-8}" in read_manifest(tables.site("utf-8")).faults[0].remedy
    assert read_manifest(tables.site("utf-8-sig")).rows[0].patient_id == "张伟"  # the mark says it
    assert read_manifest(tables.site("utf-16")).faults[0].value == "UTF-16"


@pytest.mark.parametrize("separator", [";", "\t"])
def test_other_separators_are_told(tables: Tables, separator: str) -> None:
    site = tables.site()
    site.table.write_text(site.table.read_text(encoding="utf-8").replace(",", separator), encoding="utf-8")
    manifest = read_manifest(site)
    assert {fault.value for fault in manifest.faults} == {"cells joined by another sign"}


def test_a_first_row_that_is_a_patient_is_not_shown(tables: Tables) -> None:
    site = tables.site()
    site.table.write_text("lesion_id7,patient_idWang,2021-05-06\n", encoding="utf-8")
    manifest = read_manifest(site)
    assert "Wang" not in "".join(map(str, manifest.faults))
    assert manifest.rows == ()


# XLSX


def test_a_workbook_reads_as_the_csv(tables: Tables) -> None:
    expected = read_manifest(tables.site())
    changes: list[dict[str, Any]] = [
        {"exam_date": datetime.datetime(2021, 5, 6), "ALB": 38, "Hep": True},
        {"exam_date": datetime.date(2021, 5, 6), "ALB": 38.0, "clip_start_s": 3.0, "outline_frame": 4},
        {"exam_date": 44322, "Hep": 1},
    ]
    for row, change in zip(tables.rows, changes, strict=False):
        row.update(change)
    manifest = read_manifest(tables.workbook_site())
    assert manifest.faults == ()
    assert repr(manifest.rows) == repr(expected.rows)


def test_errors_and_uncomputed_formulas_are_told_not_read_as_blanks(tables: Tables) -> None:
    tables.rows[0]["ALB"] = "=NA()"
    tables.rows[1]["CEA"] = "#N/A"
    tables.rows[2]["exam_date"] = "#VALUE!"
    manifest = read_manifest(tables.workbook_site())
    assert faults_of(manifest) == [
        (2, "ALB", "excel-error"),
        (3, "CEA", "excel-error"),
        (4, "exam_date", "excel-error"),
    ]
    assert [fault.value for fault in manifest.faults] == ["#UNCOMPUTED", "#N/A", "#VALUE!"]
    assert [row.line for row in manifest.rows] == [5]


def test_formulas_are_taken_by_the_value_that_excel_saved(tables: Tables) -> None:
    tables.rows[0]["TP"] = "=60+12"
    site = tables.workbook_site()
    assert faults_of(read_manifest(site)) == [(2, "TP", "excel-error")]
    with zipfile.ZipFile(site.table) as old:
        parts = {name: old.read(name) for name in old.namelist()}
    sheet = "xl/worksheets/sheet1.xml"
    saved = re.sub(rb"(<f>60\+12</f>)<v ?/?>(</v>)?", rb"\1<v>72</v>", parts[sheet])
    assert saved != parts[sheet]
    with zipfile.ZipFile(site.table, "w") as new:
        for name, content in {**parts, sheet: saved}.items():
            new.writestr(name, content)
    assert value(read_manifest(site), "TP") == 72.0


def test_the_sheet_is_the_only_filled_one_or_the_one_called_lesions(tables: Tables) -> None:
    assert len(read_manifest(tables.workbook_site(before="Notes")).rows) == 4
    book = openpyxl.load_workbook(tables.folder / "lesions.xlsx")
    book["Lesions"].title = "Table 1"
    book.save(tables.folder / "lesions.xlsx")
    manifest = read_manifest(tables.site())
    assert [fault.reason for fault in manifest.faults] == ["unreadable-table"]
    assert "lesions" in manifest.faults[0].rule


def test_broken_and_hostile_workbooks_are_refused(tmp_path: Path) -> None:
    bomb = tmp_path / "bomb.xlsx"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("xl/worksheets/sheet1.xml", bytes(80 * 2**20))
    for content in (b"", b"PK\x03\x04", b"no workbook", bomb.read_bytes()):
        with pytest.raises(WorkbookError):
            read_workbook(content, 100)


def test_rows_beyond_the_limit_are_told_at_once(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    book.active["A1"], book.active["XFD1048576"] = "lesion_id", "x"
    book.save(tmp_path / "a.xlsx")
    begun = time.perf_counter()
    with pytest.raises(WorkbookError, match="at most 5000 rows"):
        read_workbook((tmp_path / "a.xlsx").read_bytes(), 5000)
    assert time.perf_counter() - begun < 1


# Size


def test_two_thousand_rows_open(tmp_path: Path) -> None:
    assert len(read_manifest(Tables(tmp_path, 2000).site()).rows) == 2000
