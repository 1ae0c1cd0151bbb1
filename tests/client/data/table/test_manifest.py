"""lesions.csv: every planted fault is told with file, row, rule and remedy, all at once, and good rows survive."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path

import pytest

from ceus_models.runtime.errors import Fault
from ceus_models.study.cohorts import assign_cohort
from ceus_models.study.subgroups import SUBGROUPS
from ceus_models.study.taxonomy import CLINICAL, CLINICAL_NAMES
from client.data.forms.site_config import SiteConfig, load_site
from client.data.imaging.manufacturers import normalize_manufacturer
from client.data.table.header import COLUMNS
from client.data.table.manifest import read_manifest
from client.data.table.rows import Row
from client.data.table.subgroups import age_band, size_band
from client.data.table.units import normalize_unit, split_header
from client.faults.fault import mask_characters

UNITS = {variable.name: variable.unit for variable in CLINICAL if variable.unit}
VALUES = {
    "exam_date": "2021-05-06",
    "fll_type": "HCC",
    "manufacturer": "Philips Medical Systems",
    "clip_start_s": "0; 120.5",
    "outline": "outlines/a.json",
    "outline_frame": "4",
    "outline_pane": "contrast",
    "Hep": "1",
    "GPC3": "0",
    "CK7": "",
    "CK19": "NA",
    "age": "61",
    "sex": "male",
    "viral_hepatitis": "yes",
    "malignancy_history": "0",
    "cirrhosis": "1",
    "fatty_liver": "",
    "tumor_size": "4.2",
    "AFP": "400",
    "ALB": "38",
    "pathology_confirmed": "1",
}


class Hospital:
    """A folder with `count` good rows, which a test then spoils."""

    def __init__(self, folder: Path, count: int = 6, center: int = 5) -> None:
        self.folder = folder
        self.headers = {name: f"{name} ({UNITS[name]})" if name in UNITS else name for name in COLUMNS}
        self.rows: list[dict[str, str]] = []
        for name in ("clips", "outlines"):
            (folder / name).mkdir()
        (folder / "outlines/a.json").write_bytes(b"")
        for number in range(count):
            self.add(lesion_id=f"L{number}", patient_id=f"Wang-{number}")
        (folder / "site.yaml").write_text(f"schema: 1\ncenter: {center}\nname: H\n", encoding="utf-8")

    def add(self, **cells: str) -> None:
        number = len(self.rows)
        names = [f"clips/{number}{letter}.dcm" for letter in "ab"]
        for name in names:
            (self.folder / name).write_bytes(b"")
        self.rows.append({**VALUES, "clips": ";".join(names), **cells})

    def site(self) -> SiteConfig:
        with (self.folder / "lesions.csv").open("w", newline="", encoding="utf-8-sig") as file:
            writer = csv.writer(file)
            writer.writerow(self.headers.values())
            writer.writerows([[row.get(name, "") for name in self.headers] for row in self.rows])
        return load_site(self.folder)

    def read(self) -> tuple[list[Row], list[Fault]]:
        manifest = read_manifest(self.site())
        return list(manifest.rows), list(manifest.faults)


@pytest.fixture
def hospital(tmp_path: Path) -> Hospital:
    return Hospital(tmp_path)


def test_a_good_row_has_everything(hospital: Hospital) -> None:
    rows, faults = hospital.read()
    assert faults == []
    assert [row.line for row in rows] == [2, 3, 4, 5, 6, 7]
    row = rows[0]
    assert (row.lesion_id, row.patient_id, row.exam_date) == ("L0", "Wang-0", date(2021, 5, 6))
    assert row.cohort == assign_cohort(5, date(2021, 5, 6), "Wang-0")
    assert [clip.start_s for clip in row.clips] == [0.0, 120.5]
    assert row.clips[1].path == hospital.folder.resolve() / "clips/0b.dcm"
    assert (row.outline.frame, row.outline.pane, row.frame_rate_hz) == (4, "contrast", None)
    assert row.biomarkers[:2] == (1.0, 0.0)
    assert all(map(math.isnan, row.biomarkers[2:]))
    clinical = dict(zip(CLINICAL_NAMES, row.clinical, strict=True))
    assert (clinical["age"], clinical["sex"], clinical["ALB"]) == (61.0, 1.0, 38.0)
    assert clinical["AFP"] == pytest.approx(math.log(400))
    assert clinical["tumor_size"] == pytest.approx(math.log(4.2))
    assert math.isnan(clinical["fatty_liver"])
    assert math.isnan(clinical["CEA"])
    assert dict(row.groups) == {
        "sex": "male",
        "age": ">60",
        "tumor_size": "3-5",
        "etiology": "yes",
        "cirrhosis": "yes",
        "fatty_liver": "unknown",
        "manufacturer": "Philips",
        "pathology_confirmed": "yes",
    }
    assert tuple(row.groups) == tuple(SUBGROUPS)[:-1]
    assert all(value in SUBGROUPS[variable] for variable, value in row.groups.items())


PLANTED: Sequence[tuple[Mapping[str, str], str, str]] = (
    ({"fll_type": "FNH"}, "fll_type", "unknown-type"),
    ({"exam_date": "06/05/2021"}, "exam_date", "ambiguous-date"),
    ({"exam_date": "2021-02-30"}, "exam_date", "bad-date"),
    ({"exam_date": ""}, "exam_date", "bad-date"),
    ({"exam_date": "2016-12-31"}, "exam_date", "date-outside-study"),
    ({"lesion_id": " "}, "lesion_id", "missing-id"),
    ({"patient_id": ""}, "patient_id", "missing-id"),
    ({"ALB": "4.1"}, "ALB", "implausible-value"),
    ({"age": "161"}, "age", "implausible-value"),
    ({"AFP": "<0.8"}, "AFP", "bad-number"),
    ({"WBC": "inf"}, "WBC", "bad-number"),
    ({"PLT": "1e999"}, "PLT", "bad-number"),
    ({"ALT": "4,1"}, "ALT", "bad-number"),
    ({"Hep": "yes"}, "Hep", "bad-value"),
    ({"CK7": "2"}, "CK7", "bad-value"),
    ({"cirrhosis": "maybe"}, "cirrhosis", "bad-value"),
    ({"sex": "x"}, "sex", "bad-value"),
    ({"clips": "clips/none.dcm", "clip_start_s": "0"}, "clips", "missing-clip"),
    ({"clips": "", "clip_start_s": ""}, "clips", "missing-clip"),
    ({"clips": "clips/" + "x" * 4000, "clip_start_s": "0"}, "clips", "missing-clip"),
    ({"clips": "../a.dcm", "clip_start_s": "0"}, "clips", "path-outside-folder"),
    ({"clips": "/etc/passwd", "clip_start_s": "0"}, "clips", "path-outside-folder"),
    ({"clips": "C:\\a.dcm", "clip_start_s": "0"}, "clips", "path-outside-folder"),
    ({"clip_start_s": "0"}, "clip_start_s", "start-times"),
    ({"clip_start_s": "120;0"}, "clip_start_s", "start-times"),
    ({"clip_start_s": "0;1e5"}, "clip_start_s", "start-times"),
    ({"clip_start_s": "0;soon"}, "clip_start_s", "bad-number"),
    ({"frame_rate_hz": "0"}, "frame_rate_hz", "bad-number"),
    ({"outline": ""}, "outline", "missing-outline"),
    ({"outline": "outlines/none.json"}, "outline", "missing-outline"),
    ({"outline_frame": "-1"}, "outline_frame", "bad-number"),
    ({"outline_frame": "1.5"}, "outline_frame", "bad-number"),
    ({"outline_pane": "left"}, "outline_pane", "bad-value"),
    ({"pathology_confirmed": "2"}, "pathology_confirmed", "bad-value"),
)


@pytest.mark.parametrize(("cells", "column", "reason"), PLANTED)
def test_each_planted_fault_is_placed_and_costs_its_row_only(
    hospital: Hospital, cells: Mapping[str, str], column: str, reason: str
) -> None:
    hospital.rows[2].update(cells)
    rows, faults = hospital.read()
    assert [(f.file, f.row, f.column, f.reason) for f in faults] == [("lesions.csv", 4, column, reason)]
    assert faults[0].rule
    assert faults[0].value
    assert faults[0].remedy
    assert [row.line for row in rows] == [2, 3, 5, 6, 7]


def test_all_faults_of_all_rows_come_at_once(hospital: Hospital) -> None:
    hospital.rows[0].update({"fll_type": "hc", "exam_date": "2021", "ALB": "4.1", "Hep": "9"})
    hospital.rows[3].update({"clips": "none.avi", "clip_start_s": "a", "outline": ""})
    hospital.headers["TP"] = "TP (mmol/L)"
    hospital.headers["CEA"] = "CEA"
    rows, faults = hospital.read()
    assert {(f.row, f.column) for f in faults} == {
        (1, "TP"),
        (1, "CEA"),
        (2, "fll_type"),
        (2, "exam_date"),
        (2, "ALB"),
        (2, "Hep"),
        (5, "clips"),
        (5, "clip_start_s"),
        (5, "outline"),
    }
    assert [row.line for row in rows] == [3, 4, 6, 7]
    by_column = {fault.column: fault for fault in faults}
    assert "HCC, HM, ICC, HH, HA, OT" in by_column["fll_type"].rule
    assert (
        by_column["fll_type"].remedy
        == 'write "HCC" if that is meant, here or for the whole column under labels in site.yaml'
    )
    assert "looks like g/dL" in by_column["ALB"].value


@pytest.mark.parametrize(("word", "value", "remedy"), [("FNH", '"FNH"', '"OT"'), ("WANG", '"aaaa"', "one of these")])
def test_an_unknown_type_is_shown_only_if_it_is_a_word_of_the_trade(
    hospital: Hospital, word: str, value: str, remedy: str
) -> None:
    hospital.rows[0]["fll_type"] = word
    _, (fault,) = hospital.read()
    assert fault.value == value
    assert remedy in fault.remedy
    assert fault.rule == "one of HCC, HM, ICC, HH, HA, OT, or blank"


def test_a_duplicate_lesion_is_told_in_every_row_and_none_of_them_is_used(hospital: Hospital) -> None:
    hospital.rows[4].update(lesion_id="L1", patient_id="Wang-1")
    rows, faults = hospital.read()
    assert [(f.row, f.column, f.reason) for f in faults] == [
        (3, "lesion_id", "duplicate-id"),
        (6, "lesion_id", "duplicate-id"),
    ]
    assert "rows 3, 6" in faults[0].value
    assert [row.line for row in rows] == [2, 4, 5, 7]


def test_a_patient_in_two_cohorts_loses_all_rows(hospital: Hospital) -> None:
    for index, day in ((0, "2021-01-01"), (2, "2023-01-01"), (5, "2022-12-31")):
        hospital.rows[index].update(patient_id="Li", exam_date=day)
    hospital.rows[5]["ALB"] = "4.1"  # a fault of its own does not hide the leak
    rows, faults = hospital.read()
    leaks = [fault for fault in faults if fault.reason == "patient-in-two-cohorts"]
    assert [fault.row for fault in leaks] == [2, 4, 7]
    assert "external_test_c" in leaks[0].value
    assert "rows 2, 4, 7" in leaks[0].value
    assert [row.line for row in rows] == [3, 5, 6]


def test_faults_hold_no_identifier(hospital: Hospital) -> None:
    marker = "ZhangWei19570312"
    for index, (cells, _, _) in enumerate(PLANTED):
        if index >= len(hospital.rows):
            hospital.add(lesion_id=f"{marker}{index}", patient_id=marker)
        hospital.rows[index].update(cells)
    for column in ("exam_date", "fll_type", "Hep", "sex", "ALB", "clips", "clip_start_s", "outline", "outline_frame"):
        hospital.add(**{"lesion_id": "x", "patient_id": marker, column: f"{marker}.avi"})
    for column in ("ALB", "frame_rate_hz", "outline_frame", "CEA"):
        hospital.add(**{"lesion_id": "x", "patient_id": marker, column: "19570312"})
    hospital.add(lesion_id="x", patient_id=marker, exam_date="2023-05-06")
    _, faults = hospital.read()
    text = "\n".join(map(str, faults)).casefold()
    assert len(faults) > 40
    for part in ("zhang", "wei", "19570312", "wang-"):
        assert part not in text


@pytest.mark.parametrize(
    ("header", "cell", "variable", "expected"),
    [
        ("ALB (g/dL)", "4.1", "ALB", 41.0),
        ("alb [G / DL]", "4.1", "ALB", 41.0),
        ("AFP（IU/mL）", "100", "AFP", math.log(121)),
        ("PLT (×10⁹/L)", "150", "PLT", math.log(150)),
        ("WBC (K/µL)", "5.5", "WBC", math.log(5.5)),
        ("tumor_size (mm)", "42", "tumor_size", math.log(4.2)),
        ("age", "50", "age", 50.0),
    ],
)
def test_units_are_converted(hospital: Hospital, header: str, cell: str, variable: str, expected: float) -> None:
    hospital.headers[variable] = header
    for row in hospital.rows:
        row[variable] = cell
    rows, faults = hospital.read()
    assert faults == []
    assert rows[0].clinical[CLINICAL_NAMES.index(variable)] == pytest.approx(expected)


@pytest.mark.parametrize("header", ["ALB", "ALB (mmol/L)", "ALB (µmol)"])
def test_an_unknown_unit_costs_its_column_and_is_told(hospital: Hospital, header: str) -> None:
    hospital.headers["ALB"] = header
    rows, faults = hospital.read()
    assert [(f.file, f.row, f.column, f.reason) for f in faults] == [("lesions.csv", 1, "ALB", "wrong-unit")]
    assert "g/dL" in faults[0].rule
    assert len(rows) == 6
    assert all(math.isnan(row.clinical[CLINICAL_NAMES.index("ALB")]) for row in rows)


def test_missing_columns_are_told_together(hospital: Hospital) -> None:
    del hospital.headers["clips"]
    del hospital.headers["CK7"]
    hospital.headers["exam_date"] = "exam_dat"
    rows, faults = hospital.read()
    assert rows == []
    assert {f.column for f in faults} == {"clips", "CK7", "exam_date"}
    assert {f.reason for f in faults} == {"missing-column"}
    assert 'rename it to "exam_date"' in {f.remedy for f in faults}


def test_only_a_column_of_results_missing_keeps_the_rows(hospital: Hospital) -> None:
    del hospital.headers["CK7"]
    rows, faults = hospital.read()
    assert [fault.column for fault in faults] == ["CK7"]
    assert len(rows) == 6


def test_broken_tables_are_faults(hospital: Hospital) -> None:
    site = hospital.site()
    for content, reason in (
        (b"", "empty-table"),
        (b"\n\n", "empty-table"),
        ("姓名,年龄\n".encode("gbk"), "unreadable-table"),
        (b'lesion_id,"patient', "unreadable-table"),
        (b"lesion_id;patient_id;exam_date\n1;2;3\n", "missing-column"),
        (b"\x00\x01\x02", "missing-column"),
    ):
        site.table.write_bytes(content)
        manifest = read_manifest(site)
        rows, faults = list(manifest.rows), list(manifest.faults)
        assert rows == []
        assert reason in {fault.reason for fault in faults}
    site.table.unlink()
    assert [fault.reason for fault in read_manifest(site).faults] == ["unreadable-table"]


def test_lines_are_those_of_the_file_across_cells_with_line_breaks(hospital: Hospital) -> None:
    hospital.headers["remark"] = "remark"
    hospital.rows[0]["remark"] = "two\nlines"
    hospital.rows[1]["ALB"] = "4.1"
    rows, faults = hospital.read()
    assert [fault.row for fault in faults] == [4]
    assert [row.line for row in rows] == [2, 5, 6, 7, 8]


def test_a_row_with_too_many_cells_is_a_fault(hospital: Hospital) -> None:
    site = hospital.site()
    lines = site.table.read_text(encoding="utf-8-sig").splitlines()
    lines[3] += ",1"
    site.table.write_text("\n".join(lines), encoding="utf-8")
    manifest = read_manifest(site)
    rows, faults = list(manifest.rows), list(manifest.faults)
    assert [(fault.row, fault.reason) for fault in faults] == [(4, "cell-count")]
    assert len(rows) == 5


def test_bands_are_the_studys() -> None:
    assert [age_band(x) for x in (49.9, 50, 60, 60.1, math.nan)] == ["<50", "50-60", "50-60", ">60", "unknown"]
    assert [size_band(x) for x in (2.9, 3, 5, 10, 10.1, math.nan)] == ["<3", "3-5", "5-10", "5-10", ">10", "unknown"]


def test_makers_have_one_name() -> None:
    spellings = {
        "G.E. Medical Systems": "GE",
        "GE Healthcare": "GE",
        "ALOKA CO., LTD.": "Hitachi",
        "ACUSON": "Siemens",
        "TOSHIBA_MEC_US": "Canon",
        "SuperSonic Imagine SA": "SuperSonic",
        "SAMSUNG MEDISON CO., LTD.": "Samsung",
        "Mindray Medical": "Mindray",
        "ESAOTE": "Esaote",
        "Gerhard Ltd": "other",
        " ": "unknown",
    }
    assert {text: normalize_manufacturer(text) for text in spellings} == spellings


def test_headers_split_and_units_fold() -> None:
    assert split_header("CA19-9 (U/mL)") == ("CA19-9", "U/mL")
    assert split_header(" age ") == ("age", "")
    assert normalize_unit("×10⁹/L") == normalize_unit("10^9 / l") == normalize_unit("x10*9/L")
    assert normalize_unit("µg/L") == normalize_unit("μg/L") == normalize_unit("ug/L")
    assert mask_characters("Wang 1957") == '"aaaa 9999"'
