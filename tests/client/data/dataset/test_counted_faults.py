"""What `index` refuses by counts, sizes and times, `check` has told before; and it says where `index` would stop."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from small_hospital import FRAMES, SmallHospital, write_avi

from ceus_models.study.processing import Processing
from client.data.dataset.check import check_site
from client.data.dataset.index import build_index
from client.data.dataset.index_report import TooManySkippedError
from client.data.forms.site_config import load_site

SMALL = Processing(frames_to_peak=8, frames_after=4, size=24, flow_maps=2, flow_size=24, margin_px=4.0)


def write_short(path: Path, frames: int) -> None:
    """The first frames of a clip."""
    whole = cv2.VideoCapture(str(path))
    pictures = [whole.read()[1] for _ in range(frames)]
    whole.release()
    rows, columns = pictures[0].shape[:2]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10.0, (columns, rows))
    for picture in pictures:
        writer.write(np.ascontiguousarray(picture))
    writer.release()


def list_faults(folder: Path) -> tuple[list[tuple[int | None, str]], list[tuple[int | None, str]]]:
    """Faults of check, and of index; the policy of the latter lets all lesions be skipped."""
    (folder / "site.yaml").write_text((folder / "site.yaml").read_text() + "max_skipped: 1\n", encoding="utf-8")
    checked = [(fault.row, fault.reason) for fault in check_site(folder).faults]
    indexed = [(fault.row, fault.reason) for fault in build_index(load_site(folder), SMALL).faults]
    return checked, indexed


def test_too_few_frames_are_told_before_a_picture_is_read(tmp_path: Path) -> None:
    hospital = SmallHospital(tmp_path, 3)
    write_short(hospital.path(0, "clips"), 7)
    write_short(hospital.path(1, "clips"), 8)
    for row in hospital.rows[:2]:
        row |= {"frame_rate_hz": "1", "outline_frame": "4"}
    checked, indexed = list_faults(hospital.write())
    assert checked == [(2, "too-few-frames")]
    assert set(checked) <= set(indexed)


def test_frames_before_a_second_injection_are_counted(tmp_path: Path) -> None:
    """24 frames from 5.0 s at 2 Hz; the outline is on the ninth, at 9.0 s."""
    hospital = SmallHospital(tmp_path, 4)
    for row, second in zip(hospital.rows, ("4", "8.5", "60", ""), strict=True):
        row["reinjection_s"] = second
    hospital.rows[0]["outline_frame"] = "3"
    checked, indexed = list_faults(hospital.write())
    assert checked == [(2, "outline-after-reinjection")]
    assert [fault for fault in indexed if fault[0] in (2, 3)] == [(n, "outline-after-reinjection") for n in (2, 3)]


def test_clips_of_other_sizes_are_told(tmp_path: Path) -> None:
    hospital = SmallHospital(tmp_path, 2)
    site = hospital.folder / "site.yaml"
    wide = '  - {manufacturer: "*", rows: 112, columns: 160, contrast: [0, 16, 80, 112], bmode: [80, 16, 160, 112]}\n'
    site.write_text(site.read_text() + wide, encoding="utf-8")
    write_avi(hospital.folder / "clips/tall.avi", 112)
    hospital.rows[0] |= {"clips": "clips/0.avi;clips/tall.avi", "clip_start_s": "5;60"}
    checked, indexed = list_faults(hospital.write())
    assert checked == indexed == [(2, "clips-differ")]


def test_a_clip_that_is_too_long_to_be_stored_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("client.data.imaging.frame_store._MOST_BYTES", FRAMES * 80 * 80 - 1)
    hospital = SmallHospital(tmp_path, 2)
    write_short(hospital.path(1, "clips"), 20)
    checked, indexed = list_faults(hospital.write())
    assert checked == indexed == [(2, "clip-too-long")]


@pytest.mark.parametrize(("bad", "stops"), [(1, False), (2, True)])
def test_check_says_where_index_would_stop(tmp_path: Path, bad: int, stops: bool) -> None:
    hospital = SmallHospital(tmp_path, 5)
    for row in hospital.rows[:bad]:
        row["fll_type"] = "?"
    report = check_site(hospital.write())
    assert (report.skipped, report.stops_index) == (bad, stops)
    site = load_site(hospital.folder)
    if stops:
        with pytest.raises(TooManySkippedError):
            build_index(site, SMALL)
    else:
        assert build_index(site, SMALL).skipped == {"unknown-type": 1}


def test_faults_of_a_header_below_a_title_skip_no_lesion(tmp_path: Path) -> None:
    hospital = SmallHospital(tmp_path, 2)
    for row in hospital.rows:
        row["age"] = "60"  # without any value a lesion is in no study
    folder = hospital.write()
    text = (folder / "lesions.csv").read_text(encoding="utf-8")
    (folder / "lesions.csv").write_text("CEUS 2021\n" + text.replace("ALB (g/L)", "ALB"), encoding="utf-8")
    (folder / "site.yaml").write_text((folder / "site.yaml").read_text() + "header_row: 2\n", encoding="utf-8")
    report = check_site(folder)
    assert [(fault.row, fault.reason) for fault in report.faults] == [(2, "wrong-unit")]
    assert (report.usable, report.skipped) == (2, 0)
    assert build_index(load_site(folder), SMALL).skipped == {}
