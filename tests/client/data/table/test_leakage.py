"""A patient on both sides of a split is told, however it came about; two lesions of one patient are not."""

from __future__ import annotations

from pathlib import Path

import pytest
from made_tables import Tables

from client.data.table.leakage import Entry, find_leaks, find_shared_content, fold_id
from client.data.table.manifest import read_manifest

A, B = Path("clips/a.dcm"), Path("clips/b.dcm")


def told(*entries: Entry) -> list[tuple[int | None, str]]:
    return [(fault.row, fault.reason) for fault in find_leaks(entries, "lesions.csv")]


def entry(line: int, lesion: str, patient: str, cohort: str = "training_a", *clips: Path) -> Entry:
    return Entry(line, lesion, patient, cohort, clips)


def test_two_lesions_of_a_patient_in_one_clip_are_no_leak() -> None:
    assert told(entry(2, "1", "P", "training_a", A), entry(3, "2", "P", "training_a", A, B), entry(4, "3", "Q")) == []


def test_each_leak_is_told_in_every_row() -> None:
    assert told(entry(2, "1", "P"), entry(3, "1", "P")) == [(2, "duplicate-id"), (3, "duplicate-id")]
    assert told(entry(2, "1", "P"), entry(3, "1", "Q")) == [(n, "lesion-under-two-patients") for n in (2, 3)]
    two = entry(2, "1", "P"), entry(5, "2", "P", "external_test_c")
    assert told(*two) == [(2, "patient-in-two-cohorts"), (5, "patient-in-two-cohorts")]
    shared = entry(2, "1", "P", "training_a", A), entry(3, "2", "Q", "training_a", B, A)
    assert told(*shared) == [(2, "clip-shared"), (3, "clip-shared")]


def test_a_blank_is_no_second_patient(tmp_path: Path) -> None:
    """It has a fault of its own; two patients are told with a blank beside them."""
    blank = Entry(4, "1", None, None, (A,))
    assert told(entry(2, "1", "P", "training_a", A), blank) == [(2, "duplicate-id"), (4, "duplicate-id")]
    assert told(entry(2, "2", "P", "training_a", A), blank) == []
    two = entry(2, "2", "P", "training_a", A), entry(3, "3", "Q", "training_a", A)
    assert told(*two, blank) == [(2, "clip-shared"), (3, "clip-shared"), (4, "clip-shared")]
    for name in "ab":
        (tmp_path / name).write_bytes(b"same")
    copies = [entry(2, "1", "P", "training_a", tmp_path / "a"), Entry(3, "2", None, None, (tmp_path / "b",))]
    assert find_shared_content(copies, "lesions.csv") == []


def test_rows_that_share_several_clips_are_told_once(tmp_path: Path) -> None:
    shared = entry(2, "1", "P", "training_a", A, B), entry(3, "2", "Q", "training_a", A, B)
    assert told(*shared) == [(2, "clip-shared"), (3, "clip-shared")]
    copies = []
    for line in (2, 3):
        paths = [tmp_path / f"{line}{name}" for name in "ab"]
        for path in paths:
            path.write_bytes(path.name[-1:].encode() * 100)
        copies.append(entry(line, str(line), f"P{line}", "training_a", *paths))
    assert [fault.row for fault in find_shared_content(copies, "lesions.csv")] == [2, 3]


@pytest.mark.parametrize("other", ["p-007", "P-7", "P- 007", "Ｐ－００７", "P-07 ", "\ufeffP-7", "P\u200b-7"])
def test_ids_that_look_like_one_are_told(other: str) -> None:
    assert fold_id(other) == fold_id("P-007")
    found = find_leaks([entry(2, "1", "P-007"), entry(3, "2", other)], "lesions.csv")
    assert [(fault.row, fault.reason) for fault in found] == [(2, "alike-patient-ids"), (3, "alike-patient-ids")]
    assert "007" not in "".join(map(str, found))


@pytest.mark.parametrize("other", ["P-70", "P-0", "P7", "Q-7", "P-7-1", "P-17"])
def test_ids_of_two_people_are_not(other: str) -> None:
    assert fold_id(other) != fold_id("P-007")


def test_copies_of_a_clip_under_two_patients_are_found_by_content(tmp_path: Path) -> None:
    big = bytes(range(256)) * 2000
    changed = bytearray(big)
    changed[100_000] ^= 1  # between the parts that are looked at first
    for name, content in {"a": big, "b": big, "c": bytes(changed), "d": b"", "e": b"", "f": big[:-1]}.items():
        (tmp_path / name).write_bytes(content)
    entries = [entry(n, str(n), f"P{n}", "training_a", tmp_path / name) for n, name in enumerate("abcdef", start=2)]
    found = find_shared_content([*entries, entry(9, "9", "P9", "training_a", tmp_path / "none")], "lesions.csv")
    assert [(fault.row, fault.reason) for fault in found] == [(2, "clip-shared"), (3, "clip-shared")]
    same = [entry(2, "1", "P", "training_a", tmp_path / "a"), entry(3, "2", "P", "training_a", tmp_path / "b")]
    assert find_shared_content(same, "lesions.csv") == []


def test_rows_that_leak_are_not_used(tmp_path: Path) -> None:
    tables = Tables(tmp_path, 6)
    tables.rows[1]["patient_id"] = "zhang 00"
    tables.rows[3]["clips"] = tables.rows[4]["clips"]
    manifest = read_manifest(tables.site())
    assert [(fault.row, fault.reason) for fault in manifest.faults] == [
        (2, "alike-patient-ids"),
        (3, "alike-patient-ids"),
        (5, "clip-shared"),
        (6, "clip-shared"),
    ]
    assert [row.line for row in manifest.rows] == [4, 7]
