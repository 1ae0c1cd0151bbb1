"""`check_site` opens every clip and outline: all that is planted comes at once, with file, row, rule and remedy."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_hospital import FRAMES, SmallHospital, write_avi, write_outline

from client.data.dataset.check import CheckReport, check_site


@pytest.fixture
def hospital(tmp_path: Path) -> SmallHospital:
    return SmallHospital(tmp_path, 14)


def check(hospital: SmallHospital, workers: int = 2) -> CheckReport:
    return check_site(hospital.write(), workers=workers)


def test_a_clean_folder_has_no_fault(hospital: SmallHospital) -> None:
    seen: list[tuple[int, int]] = []
    assert check(hospital).faults == ()
    report = check_site(hospital.folder, on_progress=lambda done, count: seen.append((done, count)))
    assert report.usable == 14
    assert report.cohorts == {"training_b": 14}
    assert report.types == {"HM": 14}
    assert seen == [(number, 14) for number in range(1, 15)]


def test_every_planted_fault_is_told_at_once_and_good_rows_survive(hospital: SmallHospital) -> None:
    rows = hospital.rows
    content = hospital.path(0, "clips").read_bytes()
    hospital.path(0, "clips").write_bytes(b"\x00" * len(content))  # a corrupt video
    hospital.path(1, "outline").unlink()  # a missing outline
    write_outline(hospital.path(2, "outline"), x=150)  # an outline outside the frame
    rows[3]["fll_type"] = "FNH"  # an unknown lesion type
    rows[4]["lesion_id"] = rows[5]["lesion_id"]  # a duplicate id
    rows[6]["patient_id"] = rows[7]["patient_id"]  # a patient in two cohorts
    rows[6]["exam_date"] = "2023-02-01"
    rows[8]["ALB"] = "4.1"  # a wrong unit
    hospital.path(9, "clips").unlink()  # a missing clip
    rows[10]["outline_frame"] = str(FRAMES)  # frames count from 0
    write_outline(hospital.path(11, "outline"), x=100)  # drawn on the other pane
    hospital.path(12, "outline").write_text("{", encoding="utf-8")
    report = check(hospital)
    assert [(fault.row, fault.column, fault.reason) for fault in report.faults] == [
        (2, "clips", "unreadable-clip"),
        (3, "outline", "missing-outline"),
        (4, "outline", "outline-outside-frame"),
        (5, "fll_type", "unknown-type"),
        (6, "lesion_id", "lesion-under-two-patients"),
        (7, "lesion_id", "lesion-under-two-patients"),
        (8, "patient_id", "patient-in-two-cohorts"),
        (9, "patient_id", "patient-in-two-cohorts"),
        (10, "ALB", "implausible-value"),
        (11, "clips", "missing-clip"),
        (12, "outline", "outline-frame-beyond-clip"),
        (13, "outline", "outline-outside-frame"),
        (14, "outline", "unreadable-outline"),
    ]
    assert report.usable == 1
    assert report.reasons["lesion-under-two-patients"] == 2
    for fault in report.faults:
        assert fault.file == "lesions.csv"
        assert fault.rule
        assert fault.value
        assert fault.remedy
    assert check(hospital, workers=1) == report


def test_a_clip_cut_short_is_a_fault(hospital: SmallHospital) -> None:
    clip = hospital.path(4, "clips")
    clip.write_bytes(clip.read_bytes()[:200])
    report = check(hospital)
    assert [(fault.row, fault.reason) for fault in report.faults] == [(6, "unreadable-clip")]
    assert report.usable == 13


def test_clips_that_overlap_are_a_fault_of_their_times(hospital: SmallHospital) -> None:
    for number in (14, 15):
        hospital.add(number)
        hospital.rows.pop()
    hospital.rows[2].update({"clips": "clips/2.avi;clips/14.avi", "clip_start_s": "0;0.4"})
    hospital.rows[3].update({"clips": "clips/3.avi;clips/15.avi", "clip_start_s": "0;60"})
    report = check(hospital)
    assert [(fault.row, fault.column, fault.reason) for fault in report.faults] == [
        (4, "clip_start_s", "clips-overlap")
    ]
    assert "clip 1 ends at 11.5 s, clip 2 starts at 0.4 s" in report.faults[0].value


def test_an_outline_from_another_screen_is_a_fault(hospital: SmallHospital) -> None:
    write_avi(hospital.path(3, "clips"), rows=64)
    reasons = {fault.row: fault.reason for fault in check(hospital).faults}
    assert reasons == {5: "outline-size"}


def test_a_faulty_site_file_is_the_report(hospital: SmallHospital) -> None:
    (hospital.folder / "site.yaml").write_text("schema: 1\ncenter: 0\n", encoding="utf-8")
    report = check(hospital)
    assert {(fault.file, fault.row, fault.column) for fault in report.faults} == {
        ("site.yaml", 1, "name"),
        ("site.yaml", 2, "center"),
    }
    assert report.usable == 0


def test_a_secret_that_others_can_read_is_a_fault(hospital: SmallHospital) -> None:
    secret = hospital.folder / "secret.key"
    secret.write_bytes(bytes(32))
    secret.chmod(0o644)
    faults = check(hospital).faults
    assert [(fault.column, fault.reason, fault.value) for fault in faults] == [
        ("secret_file", "open-secret", "mode 644")
    ]
    secret.chmod(0o600)
    assert check(hospital).faults == ()


def test_a_decoder_that_trips_costs_one_row_and_tells_nothing_of_the_file(
    hospital: SmallHospital, monkeypatch: pytest.MonkeyPatch
) -> None:
    check(hospital)

    def trip(path: Path, *_: object) -> None:
        raise ValueError(f"cannot read {path}")

    monkeypatch.setattr("client.data.dataset.check.probe_clip", trip)
    report = check_site(hospital.folder)
    assert {fault.reason for fault in report.faults} == {"unreadable-clip"}
    assert "avi" not in "".join(map(str, report.faults))


def test_a_fault_in_one_cell_hides_none_in_the_files_of_its_row(hospital: SmallHospital) -> None:
    """Else a table would be mended one fault a run."""
    hospital.rows[0] |= {"fll_type": "FNH"}
    hospital.path(0, "clips").write_bytes(b"no clip")
    hospital.path(0, "outline").write_text("{", encoding="utf-8")
    hospital.rows[1] |= {"exam_date": "soon", "outline_frame": str(FRAMES)}
    hospital.rows[2] |= {"outline_frame": "1.5", "clip_start_s": "a"}  # what they name cannot be judged
    hospital.rows[3]["patient_id"] = ""
    report = check(hospital)
    assert [(fault.row, fault.reason) for fault in report.faults] == [
        (2, "unknown-type"),
        (2, "unreadable-clip"),
        (2, "unreadable-outline"),
        (3, "bad-date"),
        (3, "outline-frame-beyond-clip"),
        (4, "bad-number"),
        (4, "bad-number"),
        (5, "missing-id"),
    ]
    assert report.usable == 10
