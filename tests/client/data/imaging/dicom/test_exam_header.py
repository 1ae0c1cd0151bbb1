"""The exam's header: digests in place of ids, clocks, days, and files that are damaged."""

from __future__ import annotations

from dataclasses import astuple
from pathlib import Path
from typing import Any

import pytest
from made_export import ID, NAME, write_clip, write_still

from client.data.imaging.dicom.exam_header import read_exam_header
from client.data.imaging.recording import ClipError

KEY = b"k" * 32


def test_a_clip_says_what_a_scan_needs_and_no_id(tmp_path: Path) -> None:
    header = read_exam_header(write_clip(tmp_path / "IM1", 7, ContrastBolusAgent="SonoVue"), KEY)
    assert (header.ultrasound, header.directory, header.frames, header.agent) == (True, False, 24, True)
    assert (header.date, header.clock_s, header.manufacturer) == ("2021-03-07", 9 * 3600 + 30 * 60 + 7, "Philips")
    assert not any(secret in str(astuple(header)) for secret in (ID, NAME, "1.2.3"))


def test_digests_are_equal_for_equal_ids_under_one_key_alone(tmp_path: Path) -> None:
    one, other = write_clip(tmp_path / "1", 1), write_clip(tmp_path / "2", 2, PatientID=f" {ID} ")
    first, second = read_exam_header(one, KEY), read_exam_header(other, KEY)
    assert (first.patient, first.study) == (second.patient, second.study), "spaces around an id are padding"
    assert first.instance != second.instance
    assert read_exam_header(one, b"another").patient != first.patient


@pytest.mark.parametrize(
    ("tags", "clock"),
    [
        ({"AcquisitionDateTime": "20210307080910.5+0800"}, 8 * 3600 + 9 * 60 + 10.5),
        ({"AcquisitionTime": "101112"}, 10 * 3600 + 11 * 60 + 12),
        ({"ContentTime": ""}, None),
        ({"ContentTime": "noon"}, None),
    ],
)
def test_the_clock(tmp_path: Path, tags: dict[str, Any], clock: float | None) -> None:
    assert read_exam_header(write_clip(tmp_path / "IM1", 1, **tags), KEY).clock_s == clock


@pytest.mark.parametrize(("stated", "day"), [("2021.03.07", "2021-03-07"), ("20211399", ""), ("", "")])
def test_the_day(tmp_path: Path, stated: str, day: str) -> None:
    assert read_exam_header(write_still(tmp_path / "IM1", StudyDate=stated), KEY).date == day


def test_an_absent_patient_is_nobody_rather_than_one_person(tmp_path: Path) -> None:
    assert read_exam_header(write_still(tmp_path / "IM1", PatientID=""), KEY).patient == ""


def test_a_file_without_preamble_is_read(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "IM1", 1)
    whole = read_exam_header(path, KEY)
    path.write_bytes(path.read_bytes()[132:])
    assert read_exam_header(path, KEY) == whole


@pytest.mark.parametrize("content", [bytes(128) + b"DICM", bytes(128) + b"DICM" + bytes(range(256)), b"\x08\0\x05\0CS"])
def test_damage_is_an_error_of_ours(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "IM1").write_bytes(content)
    with pytest.raises(ClipError) as caught:
        read_exam_header(tmp_path / "IM1", KEY)
    assert caught.value.reason == "unreadable-clip"
