"""One patient on both sides is found by content, whatever the file is called and however it was exported."""

from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from made_cases import Cases, encode_jpeg, list_reasons, write_clip
from small_hospital import FRAMES, RATE_HZ, ROWS, make_pictures, write_avi
from toy_cases import ENTITIES, case

from client.data.dataset.cache import cache_folder
from client.data.dataset.copies import find_copies
from client.data.forms.site_config import load_site
from client.data.imaging.likeness import ALIKE, compare_likeness
from client.data.table.leakage import Entry
from client.data.table.manifest import read_manifest
from sim.hospital.hospital import write_hospital
from sim.hospital.screens import MAKERS
from tests.support.made_copies import demo_phantoms, export_again, read_digests

SHARED = "clip-shared"


@pytest.fixture
def cases(tmp_path: Path) -> Cases:
    return Cases(tmp_path)


def spread_copies(cases: Cases) -> list[int]:
    """Four exports of one recording under four patients, and three other recordings; the lines of the copies."""
    pictures = make_pictures(0)
    encoded = [encode_jpeg(picture, 70) for picture in pictures[3:]]
    lines = [cases.dicom(), cases.take(write_clip(cases.clip(), pictures[3:], encoded))]
    write_avi(cases.clip(".avi"), patient=0)
    lines.append(cases.take(cases.clip(".avi"), frame_rate_hz=str(RATE_HZ)))
    shutil.copy(cases.folder / cases.rows[1]["clips"], cases.clip())
    lines.append(cases.take(cases.clip()))
    for number in (11, 12, 13):
        cases.take(write_clip(cases.clip(), make_pictures(number)))
    return lines


def test_every_export_of_a_recording_is_found_under_another_patient(cases: Cases) -> None:
    lines = spread_copies(cases)
    report = cases.check()
    assert {row: set(reasons) for row, reasons in list_reasons(report).items()} == {line: {SHARED} for line in lines}
    assert report.usable == 3
    assert any("the pictures of rows" in fault.value for fault in report.faults)
    indexed = cases.index()
    assert (indexed.read, indexed.skipped) == (3, {SHARED: 4})
    names = {path.name for path in cache_folder(load_site(cases.folder)).iterdir()}
    assert len(names) == 3, "what is not used is not kept"
    assert (cases.index().read, cases.index().skipped) == (3, {SHARED: 4}), "from the cache, too"


def test_recordings_that_a_person_found_to_be_two_are_used(cases: Cases) -> None:
    """Both rows must say it: who looked at one alone did not compare. The same file is a fault all the same."""
    for number, said in enumerate(("yes", "yes", "")):
        cases.take(write_clip(cases.clip(), make_pictures(0)[number:]), clip_checked=said)
    assert set(list_reasons(cases.check())) == {2, 3, 4}
    cases.rows[2]["clip_checked"] = "yes"
    assert list_reasons(cases.check()) == {}
    assert cases.index().skipped == {}
    shutil.copy(cases.folder / cases.rows[0]["clips"], cases.clip())
    cases.take(cases.clip(), clip_checked="yes")
    assert set(list_reasons(cases.check())) == {2, 5}


def test_lesions_of_one_patient_may_share_a_clip_but_not_in_two_cohorts(cases: Cases) -> None:
    pictures = make_pictures(0)
    encoded = [encode_jpeg(picture) for picture in pictures]
    for patient, day in (("P", "2021-05-06"), ("P", "2021-05-06"), ("Q", "2021-05-06"), ("Q", "2023-02-01")):
        clip = write_clip(cases.clip(), make_pictures(5) if patient == "Q" else pictures)
        cases.take(clip, patient_id=patient, exam_date=day)
    cases.take(write_clip(cases.clip(), make_pictures(7), None), patient_id="R")
    cases.take(write_clip(cases.clip(), pictures, encoded), patient_id="P")
    reasons = list_reasons(cases.check())
    assert set(reasons) == {4, 5}
    assert all(SHARED in found for found in reasons.values())


def test_the_same_screen_around_other_pictures_is_no_copy(cases: Cases) -> None:
    """Rulers and logos are the machine's: they stand in the panes of all its patients, and do not move."""
    for patient in range(4):
        pictures = make_pictures(patient)
        for picture in pictures:
            cv2.rectangle(picture, (5, 20), (30, 90), (250, 250, 250), 2)
            cv2.putText(picture, "LOGIQ", (85, 40), cv2.FONT_HERSHEY_SIMPLEX, 0.6, (220, 220, 220), 2)
        cases.take(write_clip(cases.clip(), pictures))
    assert list_reasons(cases.check()) == {}
    assert cases.index().read == 4


def test_a_pair_is_told_in_both_rows_once_and_not_where_it_is_known() -> None:
    draw = np.random.default_rng(0)
    one, other = (draw.integers(-127, 127, (2, 32, 32)).astype(np.int8) for _ in range(2))
    entries = [Entry(line, f"L{line}", f"P{line}", "validation", ()) for line in (2, 3, 4, 5)]
    found = find_copies(entries, {2: [one, other], 3: [other], 4: [], 5: [one, one]}, "lesions.csv")
    assert [(fault.row, fault.value.split(" again")[0]) for fault in found] == [
        (2, "the pictures of rows 3, 5"),
        (3, "the pictures of row 2"),
        (5, "the pictures of row 2"),
    ]
    assert (
        find_copies(entries, {2: [one], 5: [one]}, "lesions.csv", find_copies(entries, {2: [one], 5: [one]}, "f")) == []
    )
    empty = np.zeros((2, 32, 32), np.int8)
    assert find_copies(entries, {2: [empty], 3: [empty]}, "lesions.csv") == [], "stills have no digest"


def test_phantoms_of_all_makers_are_matched_with_their_second_export_and_with_no_other(tmp_path: Path) -> None:
    """`python -m benchmarks.copies` does it with 200."""
    makers = list(MAKERS)
    lesions = [case(i, *ENTITIES[i % len(ENTITIES)], maker=makers[i % len(makers)]) for i in range(14)]
    folder = tmp_path / "site-07"
    write_hospital(folder, tmp_path / "truth", 7, lesions, demo_phantoms(), 3)
    (folder / "policy.yaml").write_text("", encoding="utf-8")
    site = load_site(folder)
    digests = []
    for row in read_manifest(site).rows:
        clip = row.clips[0].path
        if clip.suffix == ".dcm":
            again = export_again(clip, tmp_path / f"{row.line}.dcm")
            digests.append((read_digests(clip, row, site), read_digests(again, row, site)))
    assert len(digests) > 5
    for way in (0, 1):  # as check looks, and as index reads
        ours, theirs = (np.stack([pair[side][way] for pair in digests]) for side in (0, 1))
        likeness = np.stack([compare_likeness(one, theirs) for one in ours])
        assert likeness.diagonal().min() > ALIKE + 0.1
        assert likeness[~np.eye(len(likeness), dtype=bool)].max() < ALIKE - 0.1


def test_other_sizes_of_one_picture_are_alike(cases: Cases) -> None:
    pictures = make_pictures(0)
    larger = np.stack([cv2.resize(picture, None, fx=1.5, fy=1.5) for picture in pictures])
    assert larger.shape == (FRAMES, ROWS * 3 // 2, 240, 3)
    cases.dicom()
    cases.take(
        write_clip(cases.clip(), larger, SequenceOfUltrasoundRegions=None), patient_id="Q", outline_pane="screen"
    )
    (cases.folder / "site.yaml").write_text(
        (cases.folder / "site.yaml")
        .read_text(encoding="utf-8")
        .replace(
            "screens:\n",
            'screens:\n  - {manufacturer: "*", rows: 144, columns: 240, contrast: [0, 24, 120, 144], '
            "bmode: [120, 24, 240, 144]}\n",
        ),
        encoding="utf-8",
    )
    assert [fault.row for fault in cases.check().faults if fault.reason == SHARED] == [2, 3]
