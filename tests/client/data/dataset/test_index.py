"""The cache: by content, whole or not at all, without identifiers; bad rows are skipped and counted."""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from small_hospital import SmallHospital, write_avi, write_outline

from ceus_models.runtime.errors import ExpectedError
from ceus_models.study.inclusion import Inclusion
from ceus_models.study.processing import Processing
from ceus_models.study.sample import Sample
from client.data.analysis.pipeline import build_sample
from client.data.analysis.track_quality import UntrustedTrack
from client.data.dataset import sample_maker
from client.data.dataset.cache import lock_cache
from client.data.dataset.check import check_site
from client.data.dataset.file_digests import compute_file_digest
from client.data.dataset.index import build_index
from client.data.dataset.index_report import IndexReport, TooManySkippedError
from client.data.dataset.samples import load_samples, read_sample
from client.data.forms.site_config import load_site, make_pseudonym
from client.data.forms.withdrawals import Withdrawal, add_withdrawal
from client.data.table.manifest import read_manifest
from client.data.table.rows import Row

SMALL = Processing(frames_to_peak=8, frames_after=4, size=24, flow_maps=2, flow_size=24, margin_px=4.0)


@pytest.fixture
def hospital(tmp_path: Path) -> SmallHospital:
    return SmallHospital(tmp_path, 5)


def indexed(hospital: SmallHospital, processing: Processing = SMALL, workers: int = 0) -> IndexReport:
    hospital.write()
    return build_index(load_site(hospital.folder), processing, workers=workers)


def loaded(hospital: SmallHospital, processing: Processing = SMALL) -> list[Sample]:
    return load_samples(load_site(hospital.folder), processing)


def files(hospital: SmallHospital) -> dict[str, int]:
    found = (hospital.folder / ".ceus" / "cache").iterdir()
    return {path.name: path.stat().st_mtime_ns for path in found}


def test_what_is_written_is_what_is_mapped(hospital: SmallHospital) -> None:
    seen: list[tuple[int, int]] = []
    hospital.write()
    site = load_site(hospital.folder)
    report = build_index(site, SMALL, lambda done, count: seen.append((done, count)))
    assert (report.read, report.made, report.skipped, report.faults) == (5, 5, {}, ())
    assert seen == [(number, 5) for number in range(1, 6)]
    samples = loaded(hospital)
    assert [sample.key for sample in samples] == [make_pseudonym(site, "lesion", f"L{n}") for n in range(5)]
    rows = read_manifest(site).rows
    fresh, _ = build_sample(rows[0], site, SMALL)
    for name in ("frames", "flow", "curve", "clinical", "biomarkers"):
        theirs, ours = getattr(samples[0], name), getattr(fresh, name)
        assert theirs.dtype == ours.dtype
        assert np.array_equal(theirs, ours, equal_nan=theirs.dtype.kind == "f")
        assert not theirs.flags.owndata  # a view into the file
    for name in ("key", "patient", "cohort", "label", "flow_scale", "groups", "quality"):
        assert getattr(samples[0], name) == getattr(fresh, name)
    assert torch.from_numpy(samples[0].frames).shape == (12, 24, 24)  # no warning about read-only memory


def test_a_second_run_makes_nothing(hospital: SmallHospital) -> None:
    indexed(hospital)
    before = files(hospital)
    report = indexed(hospital)
    assert (report.read, report.made) == (5, 0)
    assert files(hospital) == before


def _clip(hospital: SmallHospital) -> None:
    path = hospital.path(1, "clips")
    path.write_bytes(path.read_bytes() + b"\0")


def _cell(column: str, value: str) -> Callable[[SmallHospital], None]:
    def change(hospital: SmallHospital) -> None:
        hospital.rows[1][column] = value

    return change


@pytest.mark.parametrize(
    "change",
    [
        _clip,
        lambda hospital: write_outline(hospital.path(1, "outline"), x=21),
        _cell("clip_start_s", "6"),
        _cell("frame_rate_hz", "3"),
        _cell("outline_frame", "4"),
        _cell("ALB", "41"),
        _cell("Hep", "1"),
        _cell("fll_type", "HCC"),
        _cell("patient_id", "P99"),
    ],
)
def test_only_what_changed_is_made_again(hospital: SmallHospital, change: Callable[[SmallHospital], None]) -> None:
    indexed(hospital)
    before = files(hospital)
    change(hospital)
    report = indexed(hospital)
    after = files(hospital)
    assert (report.read, report.made) == (5, 1)
    assert len(after) == 5
    assert len(before.items() & after.items()) == 4


def test_other_settings_or_a_changed_table_ask_for_a_new_index(hospital: SmallHospital) -> None:
    with pytest.raises(ExpectedError, match="ceus-site index"):
        loaded(hospital)
    indexed(hospital)
    other = Processing(frames_to_peak=9, frames_after=4, size=24, flow_maps=2, flow_size=24)
    with pytest.raises(ExpectedError, match="processing settings"):
        loaded(hospital, other)
    hospital.rows.pop()
    hospital.write()
    with pytest.raises(ExpectedError, match="table"):
        loaded(hospital)
    assert indexed(hospital, other).made == 4
    assert loaded(hospital, other)[0].frames.shape == (13, 24, 24)


def test_bad_rows_are_skipped_counted_and_told(hospital: SmallHospital) -> None:
    for number in range(5, 12):
        hospital.add(number)
    hospital.path(0, "clips").write_bytes(b"\0" * 5000)
    hospital.path(1, "outline").unlink()
    write_outline(hospital.path(2, "outline"), x=150)
    hospital.rows[3]["fll_type"] = "FNH"
    hospital.rows[4]["lesion_id"] = hospital.rows[5]["lesion_id"]
    hospital.path(6, "outline").write_text("{")
    (hospital.folder / "site.yaml").write_text((hospital.folder / "site.yaml").read_text() + "max_skipped: 0.6\n")
    report = indexed(hospital)
    assert report.read == len(loaded(hospital)) == 5
    assert report.skipped == {
        "unreadable-clip": 1,
        "missing-outline": 1,
        "outline-outside-frame": 1,
        "unknown-type": 1,
        "lesion-under-two-patients": 2,
        "unreadable-outline": 1,
    }
    assert [fault.row for fault in report.faults] == [2, 3, 4, 5, 6, 7, 8]
    assert sum((Counter(intake.skipped) for intake in report.cohorts.values()), Counter()) == report.skipped
    assert sum(intake.read for intake in report.cohorts.values()) == 5
    assert json.loads(report.path.read_text())["skipped"] == report.skipped


def test_too_many_bad_rows_stop_with_the_counts(hospital: SmallHospital) -> None:
    indexed(hospital)
    for number in (0, 1):
        hospital.path(number, "clips").write_bytes(b"\0" * (5000 + number))
    with pytest.raises(TooManySkippedError, match=r"20%.*2 of 5.*unreadable-clip 2") as caught:
        indexed(hospital)
    assert [fault.row for fault in caught.value.report.faults] == [2, 3]
    with pytest.raises(ExpectedError, match="ceus-site index"):  # the older index would hide it
        loaded(hospital)


def test_lesions_that_left_the_table_leave_the_cache(hospital: SmallHospital) -> None:
    indexed(hospital)
    gone = hospital.rows.pop(2)
    indexed(hospital)
    assert len(files(hospital)) == 4
    hospital.rows.insert(2, gone)
    assert indexed(hospital).made == 1


def test_patients_who_withdrew_are_left_out_also_those_who_do_so_meanwhile(hospital: SmallHospital) -> None:
    indexed(hospital)
    site = load_site(hospital.folder)

    def withdraw(number: int) -> None:
        lesion = make_pseudonym(site, "lesion", f"L{number}")
        add_withdrawal(site.records, Withdrawal(make_pseudonym(site, "patient", f"P{number}"), "now", (lesion,)))

    withdraw(0)
    assert len(loaded(hospital)) == 4, "before the next index, too"
    report = build_index(site, SMALL, lambda done, _: withdraw(1) if done == 4 else None)
    assert (report.read, report.withdrawn, report.skipped) == (3, 2, {})
    assert len(files(hospital)) == len(loaded(hospital)) == 3
    checked = check_site(hospital.folder)
    assert (checked.usable, checked.withdrawn, checked.faults) == (3, 2, ())
    assert len(read_manifest(site, unseen=True).rows) == 5, "a model may be asked about them"


def test_rules_of_inclusion_leave_lesions_out_and_make_no_sample_anew(hospital: SmallHospital) -> None:
    assert (indexed(hospital).made, indexed(hospital).excluded) == (5, {})
    hospital.rows[0] |= {"age": "17"}
    hospital.rows[1] |= {"tumor_size": "1"}
    hospital.rows[2] |= {"pathology_confirmed": "0"}
    report = indexed(hospital)
    assert report.excluded == {"too-young": 1, "too-small": 1, "no-pathology": 1}
    assert (report.read, report.skipped, report.faults) == (2, {}, ())
    assert sum((Counter(intake.excluded) for intake in report.cohorts.values()), Counter()) == report.excluded
    assert len(files(hospital)) == len(loaded(hospital)) == 2
    wider = replace(SMALL, inclusion=Inclusion(youngest=0))
    with pytest.raises(ExpectedError, match="processing"):
        loaded(hospital, wider)
    again = indexed(hospital, wider)
    assert (again.read, again.made, len(loaded(hospital, wider))) == (3, 1, 3)


def test_workers_give_the_same_files(hospital: SmallHospital, tmp_path: Path) -> None:
    hospital.path(3, "clips").write_bytes(b"\0" * 5000)
    one = indexed(hospital)
    contents = {name: (one.path.parent / "cache" / name).read_bytes() for name in files(hospital)}
    shutil.rmtree(one.path.parent)
    two = indexed(hospital, workers=2)
    assert (two.read, two.made, two.skipped, two.faults) == (one.read, one.made, one.skipped, one.faults)
    assert {name: (two.path.parent / "cache" / name).read_bytes() for name in files(hospital)} == contents


def test_no_identifier_and_no_path_is_in_the_cache(hospital: SmallHospital) -> None:
    for row in hospital.rows:
        row["lesion_id"], row["patient_id"] = f"LESION-{row['lesion_id']}", f"Wang-{row['patient_id']}"
    report = indexed(hospital)
    for path in [report.path, *(report.path.parent / "cache").iterdir()]:
        content = path.read_bytes()
        assert not [word for word in (b"LESION-", b"Wang-", b"clips", b"2021-05", b".avi") if word in content]
        assert path.stat().st_mode & 0o077 == 0
    assert set(load_file(path)) == {"frames", "flow", "curve", "clinical", "biomarkers", "likeness"}


def test_a_file_appears_whole_or_not_at_all(hospital: SmallHospital, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: Path, target: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", fail)
        with pytest.raises(KeyboardInterrupt):
            indexed(hospital)
    assert files(hospital) == {}
    assert indexed(hospital).made == 5


@pytest.mark.parametrize("size", [0, 7, 100, 5000])
def test_a_damaged_file_of_the_cache_is_an_expected_error(hospital: SmallHospital, size: int) -> None:
    indexed(hospital)
    path = next((hospital.folder / ".ceus" / "cache").iterdir())
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(ExpectedError, match="ceus-site index"):
        read_sample(path)


def test_a_clip_of_another_size_is_a_row_of_its_own(hospital: SmallHospital) -> None:
    """Whole-screen panes where no template fits: still a sample, and the quality says so."""
    write_avi(hospital.path(2, "clips"), rows=112)
    path = hospital.path(2, "outline")
    path.write_text(path.read_text().replace('"imageHeight": 96', '"imageHeight": 112'))
    indexed(hospital)
    assert [sample.quality["layout"] for sample in loaded(hospital)] == [1.0, 1.0, 2.0, 1.0, 1.0]


def test_lesions_to_be_looked_at_are_listed_apart_and_not_tracked_again(
    hospital: SmallHospital, monkeypatch: pytest.MonkeyPatch
) -> None:
    doubt = UntrustedTrack("track-to-be-looked-at", "it is followed", "the box is held in 60% of the frames", "look")
    asked: list[int] = []

    def doubted(row: Row, *more: Any) -> Any:
        asked.append(row.line)
        if row.line == 4 and not row.track_checked:
            raise doubt
        return build_sample(row, *more)

    monkeypatch.setattr(sample_maker, "build_sample", doubted)
    report = indexed(hospital)
    assert (report.read, report.made, report.skipped, report.faults) == (4, 4, {}, ())
    key = make_pseudonym(load_site(hospital.folder), "lesion", "L2")
    assert [(look.row, look.lesion, look.found) for look in report.look] == [(4, key, doubt.value)]
    told = json.loads((hospital.folder / ".ceus" / "look.json").read_text())
    assert told == [{"row": 4, "lesion": key, "found": doubt.value, "column": "track_checked"}]
    assert len(loaded(hospital)) == 4
    asked.clear()
    assert indexed(hospital).look == report.look
    assert asked == []
    hospital.rows[2]["track_checked"] = "yes"
    assert (indexed(hospital).read, asked) == (5, [4])
    assert json.loads((hospital.folder / ".ceus" / "look.json").read_text()) == []


def test_files_that_did_not_change_are_not_read_again(hospital: SmallHospital, monkeypatch: pytest.MonkeyPatch) -> None:
    hospital.write()
    read: list[str] = []

    def counted(path: Path) -> str:
        read.append(path.name)
        return compute_file_digest(path)

    monkeypatch.setattr("client.data.dataset.file_digests.compute_file_digest", counted)
    monkeypatch.setattr("client.data.dataset.file_digests._SETTLED_S", -1.0)  # the files of this test are seconds old
    build_index(load_site(hospital.folder), SMALL)
    assert len(read) == 10
    build_index(load_site(hospital.folder), SMALL)
    assert len(read) == 10
    path = hospital.path(1, "clips")
    times, content = path.stat(), bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))  # as a copy that keeps the times: the inode's own tells
    report = build_index(load_site(hospital.folder), SMALL)
    assert (report.read, report.made) == (5, 1)
    assert read[10:] == ["1.avi", "1.json"]


def test_a_file_that_has_just_changed_is_read_again(hospital: SmallHospital) -> None:
    indexed(hospital)
    assert json.loads((hospital.folder / ".ceus" / "ledger.json").read_text())["files"] == {}


def test_a_damaged_ledger_only_costs_time(hospital: SmallHospital) -> None:
    indexed(hospital)
    for content in (b"", b"{", b"[]", b'{"version": 1, "files": 3}'):
        (hospital.folder / ".ceus" / "ledger.json").write_bytes(content)
        assert (indexed(hospital).read, indexed(hospital).made) == (5, 0)


def test_a_copy_of_another_patients_clip_is_not_used(hospital: SmallHospital) -> None:
    shutil.copy(hospital.path(1, "clips"), hospital.path(2, "clips"))
    (hospital.folder / "site.yaml").write_text((hospital.folder / "site.yaml").read_text() + "max_skipped: 0.6\n")
    assert indexed(hospital).skipped == {"clip-shared": 2}


def test_only_one_process_at_a_time(hospital: SmallHospital) -> None:
    hospital.write()
    site = load_site(hospital.folder)
    with lock_cache(site), pytest.raises(ExpectedError, match="at work"):
        build_index(site, SMALL)
    assert build_index(site, SMALL).read == 5


def test_drafts_that_a_killed_process_left_are_swept(hospital: SmallHospital) -> None:
    indexed(hospital)
    work = hospital.folder / ".ceus"
    for folder in (work, work / "cache"):
        (folder / ".part-abc").write_bytes(b"half")
    assert indexed(hospital).made == 0
    assert not list(work.rglob(".part-*"))


def test_pictures_of_lesions_that_left_the_table_go(hospital: SmallHospital) -> None:
    hospital.write()
    site = load_site(hospital.folder)
    keys = [make_pseudonym(site, "lesion", f"L{number}") for number in range(5)]
    sheets = hospital.folder / ".ceus" / "sheets"
    sheets.mkdir(parents=True)
    for name in (*keys, "contact", "contact-02"):
        (sheets / f"{name}.png").write_bytes(b"")
    indexed(hospital)
    assert len(list(sheets.iterdir())) == 7
    hospital.rows.pop(2)
    indexed(hospital)
    assert {path.stem for path in sheets.iterdir()} == {key for key in keys if key != keys[2]}
