"""`ceus-site forget`: what it deletes, writes down and says of a patient's part."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from indexed_hospital import IndexedHospital, hello_task, train_task

from ceus_models.protocol.messages import Update
from ceus_models.runtime.exit_codes import run_app
from client.cli.main import app
from client.data.dataset.cache import lock_cache, sheets_folder
from client.data.dataset.review_list import ReviewItem, write_review_item, write_review_list
from client.worker.audit.log import entries


@pytest.fixture
def hospital(tmp_path: Path) -> IndexedHospital:
    return IndexedHospital(tmp_path / "site", [0, 1, 2, 3])


def forget(hospital: IndexedHospital, *words: str) -> int:
    return run_app(app, ["forget", str(hospital.folder), *words])


def test_it_asks_first_and_knows_whom_it_is_about(
    hospital: IndexedHospital, capsys: pytest.CaptureFixture[str]
) -> None:
    assert forget(hospital, "P9", "--yes") == 1
    assert "mend the spelling" in capsys.readouterr().err
    assert forget(hospital, "P1") == 1
    assert "found 1 lesions of this patient, 1 with a sample" in capsys.readouterr().err
    assert not (hospital.folder / "records").exists()
    assert len(list((hospital.folder / ".ceus" / "cache").iterdir())) == 4


def test_pictures_of_a_scan_all_go_since_none_bears_a_name(hospital: IndexedHospital) -> None:
    scan = hospital.folder / ".ceus" / "scan"
    (scan / "pictures").mkdir(parents=True)
    shown = [scan / "contact-01.png", scan / "pictures" / f"{7:032x}.png"]
    kept = [scan / "clips.csv", scan / "clips.jsonl", scan / "scan.html"]
    for path in (*shown, *kept):
        path.write_bytes(b"found")
    assert forget(hospital, "P1") == 1
    assert all(path.exists() for path in shown), "it asks first"
    assert forget(hospital, "P1", "--yes") == 0
    assert not any(path.exists() for path in shown)
    assert all(path.exists() for path in kept), "they show no picture"


def test_samples_findings_and_pictures_of_the_patient_go_and_those_of_others_stay(hospital: IndexedHospital) -> None:
    site, cache = hospital.config, hospital.folder / ".ceus" / "cache"
    sheets = sheets_folder(site)
    sheets.mkdir(parents=True)
    names = {number: hospital.pseudonym("lesion", number) for number in hospital.patients}
    for name in ("contact", *names.values()):
        (sheets / f"{name}.png").write_bytes(b"picture")
    items = [ReviewItem(n, names[n], "drifts", f"{n:064x}.look.json") for n in (1, 2)]
    for item in items:
        write_review_item(cache, item)
    write_review_list(site, items)
    table = site.table.read_bytes()
    assert forget(hospital, "P1", "--yes") == 0
    assert {path.stem for path in sheets.iterdir()} == {names[0], names[2], names[3]}
    assert not any(f"{1:032x}." in path.name or f"{1:064x}" in path.name for path in cache.iterdir())
    assert len(list(cache.iterdir())) == 4
    assert [one["row"] for one in json.loads((hospital.folder / ".ceus" / "look.json").read_text())] == [2]
    assert site.table.read_bytes() == table, "the hospital's own tables are its own"
    listed = (hospital.folder / "records" / "withdrawn.json").read_text()
    assert "P1" not in listed
    assert hospital.pseudonym("patient", 1) in listed


def test_it_says_in_which_rounds_the_patient_was(hospital: IndexedHospital, capsys: pytest.CaptureFixture[str]) -> None:
    site = hospital.open()
    for number in (1, 2, 3):
        assert isinstance(site.handle(train_task(number)), Update)
    hospital.patients = [0, 1, 2]  # the hospital deletes the row first, and indexes
    hospital.write_table()
    hospital.index()
    for number in (4, 6):
        assert isinstance(site.handle(train_task(number)), Update)
    assert forget(hospital, "P3", "--yes") == 0
    study = train_task(1).study[:12]
    assert f"study {study}, one, train: rounds 1-3\n" in capsys.readouterr().out
    assert forget(hospital, "P0", "--yes") == 0
    said = capsys.readouterr().out
    assert f"study {study}, one, train: rounds 1-4, 6\n" in said
    assert "here 2 did" in said
    assert isinstance(site.handle(hello_task()), Update)
    told = [entry for entry in entries(hospital.folder / "records") if entry["kind"] == "forget"]
    assert [(entry["lesions"], entry["rounds"], entry["withdrawn"]) for entry in told] == [(1, 3, 1), (1, 5, 2)]
    assert not any(hospital.pseudonym(kind, 0) in json.dumps(told) for kind in ("patient", "lesion"))


def test_a_patient_who_joined_no_study_took_part_in_none(
    hospital: IndexedHospital, capsys: pytest.CaptureFixture[str]
) -> None:
    site = hospital.open()
    assert isinstance(site.handle(train_task(1)), Update)
    hospital.rows.append({**hospital.rows[0], "lesion_id": "L4", "patient_id": "P4", "clips": "clips/4.avi"})
    (hospital.folder / "clips" / "4.avi").write_bytes((hospital.folder / "clips" / "0.avi").read_bytes() + b"4")
    hospital.patients.append(4)
    hospital.write_table()
    hospital.index()
    assert isinstance(site.handle(train_task(2)), Update)
    assert forget(hospital, "P4", "--yes") == 0
    assert "took part in no answered round" in capsys.readouterr().out


def test_answers_without_an_index_are_not_called_free_of_the_patient(
    hospital: IndexedHospital, capsys: pytest.CaptureFixture[str]
) -> None:
    assert isinstance(hospital.open().handle(train_task(1)), Update)
    for path in (hospital.folder / "records" / "indexes").iterdir():
        path.unlink()
    assert forget(hospital, "P0", "--yes") == 0
    assert "1 answers name no index that is kept" in capsys.readouterr().out


def test_it_does_not_wait_for_an_index_that_is_being_made(
    hospital: IndexedHospital, capsys: pytest.CaptureFixture[str]
) -> None:
    site = hospital.open()
    with lock_cache(hospital.config):
        assert forget(hospital, "P0", "--yes") == 0
    assert "`ceus-site index` is at work here" in capsys.readouterr().out
    answer = site.handle(hello_task())
    assert isinstance(answer, Update)
    assert answer.weight == 3, "the worker does without the patient all the same"
