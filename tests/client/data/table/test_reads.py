"""reads.csv: good diagnoses, every fault with its row, and none of it where there is no file."""

from __future__ import annotations

from pathlib import Path

import pytest
from made_tables import Tables

from client.data.dataset.check import check_site
from client.data.table.reads import Read, read_reads

GOOD = ["L0", "R1", "junior", "no", "HCC", "41.5"]


@pytest.fixture
def tables(tmp_path: Path) -> Tables:
    return Tables(tmp_path)


def read(tables: Tables) -> tuple[list[Read], list[tuple[int | None, str, str]]]:
    reads, faults = read_reads(tables.site(), {f"L{n}" for n in range(4)})
    assert all(fault.file == "reads.csv" and fault.rule and fault.remedy for fault in faults)
    return reads, [(fault.row, fault.column, fault.reason) for fault in faults]


def test_no_file_is_no_fault(tables: Tables) -> None:
    assert read(tables) == ([], [])


def test_good_diagnoses(tables: Tables) -> None:
    sure = ["L0", "R1", "junior", "yes", "ICC", "", "3"]
    tables.reads = [[*GOOD, ""], sure, ["L1", "M", "mri", "0", "OT", "0", "5"]]
    reads, faults = read(tables)
    assert faults == []
    assert reads[0] == Read(2, "L0", "R1", "junior", False, "HCC", 41.5)
    assert [(read.assisted, read.diagnosis, read.seconds, read.confidence) for read in reads[1:]] == [
        (True, "ICC", None, 3),
        (False, "OT", 0, 5),
    ]


@pytest.mark.parametrize(
    ("place", "cell", "column", "reason"),
    [
        (0, "L9", "lesion_id", "unknown-lesion"),
        (0, "", "lesion_id", "missing-id"),
        (1, "", "reader", "missing-id"),
        (2, "professor", "role", "bad-value"),
        (2, "", "role", "missing-value"),
        (3, "", "assisted", "missing-value"),
        (3, "maybe", "assisted", "bad-value"),
        (4, "FNH", "diagnosis", "unknown-type"),
        (4, "", "diagnosis", "missing-value"),
        (5, "-3", "seconds", "bad-number"),
        (5, "soon", "seconds", "bad-number"),
        (6, "0", "confidence", "bad-value"),
        (6, "very", "confidence", "bad-value"),
    ],
)
def test_each_fault_costs_its_row_only(tables: Tables, place: int, cell: str, column: str, reason: str) -> None:
    odd = ["L1", *GOOD[1:], ""]
    odd[place] = cell
    tables.reads = [GOOD, odd, ["L2", *GOOD[1:]]]
    reads, faults = read(tables)
    assert faults == [(3, column, reason)]
    assert [read.line for read in reads] == [2, 4]


def test_a_reader_who_says_twice_the_same_thing_is_not_believed(tables: Tables) -> None:
    tables.reads = [GOOD, ["L0", "R1", "junior", "no", "HM", ""], ["L0", "R2", "senior", "no", "HM", ""]]
    reads, faults = read(tables)
    assert faults == [(2, "reader", "repeated-read"), (3, "reader", "repeated-read")]
    assert [read.reader for read in reads] == ["R2"]


def test_labels_and_the_example_work_as_in_the_table(tables: Tables) -> None:
    tables.yaml += "labels: {role: {低年资: junior}, diagnosis: {肝细胞癌: HCC}}\n"
    tables.reads = [["EXAMPLE", "R1", "junior", "no", "HCC", ""], ["L0", "R1", "低年资", "no", "肝细胞癌", ""]]
    reads, faults = read(tables)
    assert faults == []
    assert [(read.role, read.diagnosis) for read in reads] == [("junior", "HCC")]


def test_check_tells_them_with_the_rest_and_names_nobody(tables: Tables) -> None:
    tables.reads = [["Zhang", "Zhang Wei", "Zhang", "Zhang", "Zhang", "19570312"], GOOD]
    tables.site()
    report = check_site(tables.folder)
    faults = [fault for fault in report.faults if fault.file == "reads.csv"]
    assert [fault.column for fault in faults] == ["lesion_id", "role", "assisted", "diagnosis", "seconds"]
    assert report.reads == 1
    assert "zhang" not in "\n".join(map(str, faults)).casefold()
