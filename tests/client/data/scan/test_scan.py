"""A whole scan of a small export: what is found, what is written, what is not, and how it goes on."""

from __future__ import annotations

import csv
import gzip
import os
from pathlib import Path

import numpy as np
import pytest
from made_clips import write_dicom
from made_export import ID, NAME, PEAK, write_clip, write_dicomdir, write_export, write_site, write_still, write_video

from ceus_models.runtime.errors import ExpectedError
from ceus_models.runtime.file_locks import hold_lock
from ceus_models.runtime.progress_bar import OnProgress
from client.data.dataset.check import check_site
from client.data.dataset.worker_pool import LostItem
from client.data.forms.site_config import load_site
from client.data.scan import clip_look, headers, scan
from client.data.scan.headers import FileFinding
from client.data.scan.journal import Journal
from client.data.scan.scan import BAD_LIST, LISTED, ScanJob, ScanReport, scan_export
from client.data.scan.walk import FoundFile


def quiet(step: str) -> OnProgress:
    return lambda done, total: None


def scan_into(export: Path, folder: Path, copy: bool = False, workers: int = 0) -> ScanReport:
    return scan_export(ScanJob(export, load_site(folder), copy, workers), quiet)


def read_rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def export(tmp_path: Path) -> Path:
    return write_export(tmp_path / "export")


@pytest.fixture
def site(tmp_path: Path) -> Path:
    return write_site(tmp_path / "site")


def test_every_file_is_counted_and_every_clip_is_in_its_exam(export: Path, site: Path) -> None:
    report = scan_into(export, site)
    assert report.files == 13
    assert dict(report.kinds) == {
        "clip": 7,
        "still": 1,
        "document": 2,
        "archive": 1,
        "empty file": 1,
        "named like a clip, but none": 1,
    }
    assert (report.copies, dict(report.faults)) == (1, {"unreadable-clip": 1})
    assert [len(named.exam.clips) for named in report.exams] == [2, 2, 1]
    patients = [named.exam.patient for named in report.exams]
    assert patients[1] == patients[2] != patients[0], "two exams are of one patient"


def test_the_draft_has_neutral_names_and_says_what_is_missing(export: Path, site: Path) -> None:
    report = scan_into(export, site)
    assert report.draft == site / "lesions.draft.csv"
    rows = read_rows(report.draft)
    assert [row["lesion_id"] for row in rows] == ["L0001", "L0002", "L0003"]
    assert [row["exam_date"] for row in rows] == ["2021-03-07", "2021-03-07", "2022-01-01"]
    assert {row["manufacturer"] for row in rows} == {"Philips"}
    assert all(row["to_write"].startswith("write outline, fll_type") for row in rows)
    for place in [part for row in rows for part in row["clips"].split(";")]:
        assert (site / place).is_file()
        assert place.startswith("clips/scan/000")
    assert abs(int(rows[2]["likely_reference_frame"]) - PEAK) <= 1
    assert not (site / "lesions.csv").exists()


def test_start_times_are_proposed_where_the_clocks_fit(export: Path, site: Path) -> None:
    rows = read_rows(scan_into(export, site).draft or site)
    assert [row["clip_start_s"] for row in rows] == ["", "0;40", ""], "one exam's clips overlap by their clocks"
    assert "clip_start_s" in rows[0]["to_write"].split(";")[0]
    assert "look at clip_start_s" in rows[1]["to_write"]


def test_no_id_no_name_and_no_folder_of_the_export_is_written(export: Path, site: Path) -> None:
    report = scan_into(export, site)
    written = [path for path in site.rglob("*") if path.is_file() and not path.is_symlink() and path != report.unread]
    assert len(written) > 6
    for path in written:
        content = path.read_bytes()
        for secret in (ID, NAME, "王小明", "1.2.3", "20210307", "IM1"):
            assert secret.encode() not in content, path
    assert not any("王" in path.name for path in site.rglob("*"))


def test_the_draft_is_a_table_that_check_reads(export: Path, site: Path) -> None:
    draft = scan_into(export, site).draft
    assert draft is not None
    draft.rename(site / "lesions.csv")
    faults = [fault for fault in check_site(site).faults if fault.file == "lesions.csv"]
    assert {fault.reason for fault in faults} == {"missing-outline", "start-times"}


def test_a_second_scan_reads_nothing_again(export: Path, site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = scan_into(export, site)
    draft = (site / "lesions.draft.csv").read_bytes()

    def refuse(*_: object) -> None:
        raise AssertionError("it was read again")

    monkeypatch.setattr(headers.HeaderReader, "_read_one", refuse)
    monkeypatch.setattr(clip_look, "open_clip", refuse)
    again = scan_into(export, site)
    assert (again.kinds, again.faults, again.copies) == (first.kinds, first.faults, first.copies)
    assert (site / "lesions.draft.csv").read_bytes() == draft


def test_a_new_exam_leaves_the_numbers_of_the_others(export: Path, site: Path) -> None:
    before = read_rows(scan_into(export, site).draft or site)
    write_clip(export / "a first folder" / "IM1", 9, PatientID="C", StudyInstanceUID="1.2.9")
    after = read_rows(scan_into(export, site).draft or site)
    assert after[:3] == before
    assert [row["lesion_id"] for row in after] == ["L0001", "L0002", "L0003", "L0004"]


def test_a_draft_that_a_person_changed_and_the_table_are_kept(export: Path, site: Path) -> None:
    (site / "lesions.csv").write_text("mine", encoding="utf-8")
    draft = scan_into(export, site).draft
    assert draft is not None
    edited = draft.read_bytes() + b"more"
    draft.write_bytes(edited)
    assert scan_into(export, site).draft == site / "lesions.draft-2.csv"
    assert scan_into(export, site).draft == site / "lesions.draft-2.csv"
    assert draft.read_bytes() == edited
    assert (site / "lesions.csv").read_text(encoding="utf-8") == "mine"


def test_the_draft_of_another_export_is_kept(export: Path, site: Path, tmp_path: Path) -> None:
    first = scan_into(export, site).draft
    assert first is not None
    content = first.read_bytes()
    write_clip(tmp_path / "other" / "IM1", 9, PatientID="C", StudyInstanceUID="1.2.9")
    assert scan_into(tmp_path / "other", site).draft == site / "lesions.draft-2.csv"
    write_clip(export / "new" / "IM1", 10, PatientID="D", StudyInstanceUID="1.2.10")
    assert scan_into(export, site).draft == first, "each export goes on with its own"
    assert first.read_bytes().startswith(content)


def test_copies_stay_when_the_export_is_gone(export: Path, site: Path) -> None:
    links, copies = scan_into(export, site), scan_into(export, site, copy=True)
    assert links.exams[0].places == copies.exams[0].places
    for named in copies.exams:
        for place in named.places.values():
            assert not (site / place).is_symlink()
    scan_into(export, site)
    assert not any(path.is_symlink() for path in (site / "clips" / "scan").iterdir()), "a copy stays one"


def test_an_export_within_the_folder_has_links_that_move_with_it(site: Path, tmp_path: Path) -> None:
    write_export(site / "clips" / "export")
    scan_into(site / "clips" / "export", site)
    site.rename(tmp_path / "moved")
    links = list((tmp_path / "moved" / "clips" / "scan").iterdir())
    assert links
    assert all(link.is_file() for link in links)
    assert scan_into(tmp_path / "moved", tmp_path / "moved").files >= 13, "links of a scan are not walked"


def test_files_that_a_dicomdir_lists_and_that_are_not_there_are_told(site: Path, tmp_path: Path) -> None:
    write_clip(tmp_path / "cd" / "DICOM" / "IM1", 1)
    write_clip(tmp_path / "cd" / "unlisted" / "IM9", 2)
    write_dicomdir(tmp_path / "cd", [("DICOM", "IM1"), ("DICOM", "IM2")])
    report = scan_into(tmp_path / "cd", site)
    assert report.kinds[LISTED] == 1
    assert sum(len(named.exam.clips) for named in report.exams) == 2, "what is not listed is read all the same"
    assert read_rows(report.unread) == [{"file": "DICOM/IM2", "reason": LISTED, "found": ""}]


def test_a_video_is_of_the_exam_beside_it_or_of_its_folder(site: Path, tmp_path: Path) -> None:
    write_clip(tmp_path / "e" / "1" / "IM1", 1)
    write_video(tmp_path / "e" / "1" / "clip.avi", 2)
    write_video(tmp_path / "e" / "2" / "clip.bin", 3)
    report = scan_into(tmp_path / "e", site)
    assert [len(named.exam.clips) for named in report.exams] == [2, 1]
    row = read_rows(report.draft or site)[1]
    assert {"exam_date", "manufacturer", "frame_rate_hz"} <= set(row["to_write"].split(";")[0][6:].split(", "))
    assert "told by the folder" in row["to_write"]
    assert row["clips"].endswith(".avi")


def test_a_packed_clip_is_a_clip_and_its_exam_is_known(site: Path, tmp_path: Path) -> None:
    export = tmp_path / "packed"
    plain = write_clip(export / "A" / "1.dcm", 1)
    for name, content in (("1.dcm.gz", plain.read_bytes()), ("IM2", plain.read_bytes()), ("notes.gz", b"some text")):
        (export / "A" / name).write_bytes(gzip.compress(content))
    (export / "A" / "3.dcm.gz").write_bytes(b"\x1f\x8b\x08 no more")
    (export / "A" / "4.gz").write_bytes(gzip.compress(b"PK" * 900)[:-20])
    plain.unlink()
    report = scan_into(export, site)
    assert dict(report.kinds) == {"clip": 2, "archive": 2, "named like a clip, but none": 1}
    assert (report.copies, len(report.exams), dict(report.faults)) == (1, 1, {})
    (place,) = report.exams[0].places.values()
    assert place.endswith(".dcm.gz")
    assert report.draft is not None
    report.draft.rename(site / "lesions.csv")
    faults = [fault for fault in check_site(site).faults if fault.file == "lesions.csv"]
    assert {fault.reason for fault in faults} == {"missing-outline"}


def test_one_id_in_many_exams_is_doubted(site: Path, tmp_path: Path) -> None:
    for number in range(9):
        write_clip(tmp_path / "e" / f"{number}", number, StudyInstanceUID=f"1.2.{number}", PatientID="ANON")
    rows = read_rows(scan_into(tmp_path / "e", site).draft or site)
    assert all("placeholder" in row["to_write"] for row in rows)


def test_tissue_stays_out_of_the_draft(site: Path, tmp_path: Path) -> None:

    grey = np.random.default_rng(1).integers(60, 110, (24, 64, 64), np.uint8)
    (tmp_path / "b").mkdir()
    write_dicom(
        tmp_path / "b" / "IM1",
        grey,
        "MONOCHROME2",
        {"Modality": "US", "StudyInstanceUID": "1.2.3", "FrameTime": "100"},
    )
    report = scan_into(tmp_path / "b", site)
    assert report.draft is None
    assert [clip.finding.contrast for clip in report.exams[0].exam.clips] == ["no"]


def test_a_file_that_ends_its_process_costs_itself(export: Path, site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first pass tries the files of a lost group one by one."""

    def lose(work, items, workers, limits):  # type: ignore[no-untyped-def]
        for chunk in items:
            bad = any(file.path.endswith("cut.dcm") for file in chunk)
            yield chunk, LostItem("reading-crashed", "signal 11") if bad else work(chunk)

    monkeypatch.setattr(headers, "map_items", lose)
    report = scan_into(export, site)
    assert report.kinds[headers.LOST] == 1
    assert report.kinds["clip"] == 6
    assert scan.LOST in {row["reason"] for row in read_rows(report.unread)}


def test_a_clip_that_ends_its_process_is_a_fault(export: Path, site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def lose(work, items, workers, limits):  # type: ignore[no-untyped-def]
        for task in items:
            bad = task.path.endswith("enhanced.dcm")
            yield task, LostItem("reading-too-long", "more than 300 s") if bad else work(task)

    monkeypatch.setattr(clip_look, "map_items", lose)
    report = scan_into(export, site)
    assert dict(report.faults) == {"unreadable-clip": 1, "reading-too-long": 1}
    assert {"file": "b/enhanced.dcm", "reason": "reading-too-long", "found": "more than 300 s"} in read_rows(
        report.unread
    )


def test_what_may_come_back_is_not_remembered(site: Path, tmp_path: Path) -> None:
    path = tmp_path / "IM1"
    file = FoundFile(str(path), 9, 9)
    with Journal(tmp_path / "j") as journal:
        ((_, found),) = headers.read_headers([file], journal, b"k", 0)
        assert found == FileFinding("vanished")
        assert journal.known == {}


def test_an_export_that_is_not_there_is_an_error_with_its_remedy(site: Path, tmp_path: Path) -> None:
    with pytest.raises(ExpectedError, match="mount the drive"):
        scan_into(tmp_path / "nowhere", site)


def test_two_scans_do_not_work_in_one_folder(export: Path, site: Path) -> None:
    with hold_lock(site / ".ceus" / "scan" / "lock", ExpectedError("x")), pytest.raises(ExpectedError, match="another"):
        scan_into(export, site)


def test_names_in_gbk_and_formulas_reach_the_tables_safely(site: Path, tmp_path: Path) -> None:
    folder = os.fsdecode(os.fsencode(tmp_path) + b"/e/" + "王小明".encode("gbk"))
    write_clip(Path(folder) / "IM1", 1)
    write_still(Path(folder) / "=cmd|'x'!A1.dcm").write_bytes(b"rubbish")
    Path(folder, "=1+1.avi").write_bytes(b"\x80rubbish")
    report = scan_into(tmp_path / "e", site)
    assert sum(len(named.places) for named in report.exams) == 1
    scan_into(Path(folder), site)
    assert all(row["file"].startswith("'=") for row in read_rows(report.unread))


def test_a_damaged_dicomdir_is_told_and_its_files_are_walked(site: Path, tmp_path: Path) -> None:
    write_clip(tmp_path / "cd" / "DICOM" / "IM1", 1)
    path = write_dicomdir(tmp_path / "cd", [("DICOM", "IM1")])
    path.write_bytes(path.read_bytes()[:300])
    report = scan_into(tmp_path / "cd", site)
    assert len(report.exams) == 1
    assert report.kinds[BAD_LIST] == 1
    assert [row["file"] for row in read_rows(report.unread)] == ["DICOMDIR"]
