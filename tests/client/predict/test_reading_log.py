"""The log is a table that `reads.csv` takes, whatever columns and encoding it has already."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_hospital import SmallHospital

from ceus_models.runtime.errors import FaultList
from client.data.forms.site_config import SiteConfig, load_site
from client.data.table.reads import read_reads
from client.predict.reading_log import AssistLog, Reader


def site(tmp_path: Path, encoding: str = "utf-8") -> SiteConfig:
    folder = SmallHospital(tmp_path, 2).write()
    text = (folder / "site.yaml").read_text(encoding="utf-8")
    (folder / "site.yaml").write_text(f"{text}encoding: {encoding}\n", encoding="utf-8")
    return load_site(folder)


def test_time_is_that_of_the_question(tmp_path: Path) -> None:
    moments = iter([10.0, 52.5])
    log = AssistLog(tmp_path / "log.csv", site(tmp_path), Reader("R1", "senior"), lambda: next(moments))
    log.open()
    assert log.record("L0", False, lambda question: ("HH", 4), "your diagnosis")
    assert (tmp_path / "log.csv").read_text(encoding="utf-8-sig").splitlines()[1] == "L0,R1,senior,no,HH,42.5,4"
    assert log.find_answers("L0") == {False}


def test_a_pass_writes_nothing_and_what_is_said_is_not_asked_again(tmp_path: Path) -> None:
    log = AssistLog(tmp_path / "log.csv", site(tmp_path), Reader("R1", "senior"))
    log.open()
    assert not log.record("L0", True, lambda question: None, "")
    assert log.find_answers("L0") == set()
    assert log.record("L0", True, lambda question: ("HA", 4), "")

    def never(question: str) -> tuple[str, int]:
        raise AssertionError(question)

    assert log.record("L0", True, never, "")
    assert AssistLog(log.path, log.site, Reader("R2", "mri")).find_answers("L0") == set()


def test_it_goes_on_in_a_table_of_the_hospitals_own(tmp_path: Path) -> None:
    """Columns in another order, one of their own, GB18030, no line break at the end."""
    place = site(tmp_path, "gb18030")
    path = tmp_path / "reads.csv"
    path.write_bytes("note,role,reader,lesion_id,diagnosis,assisted\n好,junior,王,L1,HM,no".encode("gb18030"))
    log = AssistLog(path, place, Reader("李", "senior"))
    log.open()
    assert log.record("L1", False, lambda question: ("ICC", 4), "")
    assert path.read_bytes().decode("gb18030").splitlines()[2] == ",senior,李,L1,ICC,no"
    found, faults = read_reads(place, ["L0", "L1"])
    assert [(read.reader, read.diagnosis) for read in found] == [("王", "HM"), ("李", "ICC")]
    assert not faults


def test_a_readers_name_is_no_formula_and_is_known_again(tmp_path: Path) -> None:
    log = AssistLog(tmp_path / "log.csv", site(tmp_path), Reader("=HYPERLINK(1)", "senior"))
    log.open()
    assert log.record("L1", False, lambda question: ("ICC", 4), "")
    assert "L1,'=HYPERLINK(1),senior" in log.path.read_text(encoding="utf-8-sig")
    assert log.find_answers("L1") == {False}


def test_a_title_above_the_sites_own_diagnoses_is_none_above_another_log(tmp_path: Path) -> None:
    place = site(tmp_path, "utf-8\nheader_row: {reads: 2}")
    place.reads.write_text("of 2021\nrole,reader,lesion_id,diagnosis,assisted\n", encoding="utf-8")
    for path in (place.reads, tmp_path / "log.csv"):
        log = AssistLog(path, place, Reader("R1", "senior"))
        log.open()
        assert log.record("L1", False, lambda question: ("ICC", 4), "")
        assert log.find_answers("L1") == {False}


def test_a_table_of_another_kind_is_not_written_to(tmp_path: Path) -> None:
    place = site(tmp_path)
    with pytest.raises(FaultList, match="column reader"):
        AssistLog(tmp_path / "lesions.csv", place, Reader("R1", "mri")).open()
