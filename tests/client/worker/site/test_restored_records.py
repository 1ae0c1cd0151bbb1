"""A site whose records came back from an older copy learns it from the next task, and answers once it said why."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from indexed_hospital import IndexedHospital, train_task

from ceus_models.protocol.messages import Refusal, Update
from ceus_models.runtime.exit_codes import run_app
from client.cli.main import app
from client.worker.audit.log import entries
from client.worker.audit.verify import verify
from client.worker.site.machine_id import read_machine_id
from client.worker.site.restored_records import read_restoration
from client.worker.status import watch_obstacles
from server.transport.audit_watch import AuditWatch

WHY = "the disk failed, restored from the copy of the night; decided by our IT"


class Coordinator:
    """Asks one site after the other round, as `server.transport.delivery` does."""

    def __init__(self) -> None:
        self.watch, self.round = AuditWatch(), 0

    def ask(self, hospital: IndexedHospital, *, machine: str = "") -> Update | Refusal:
        self.round += 1
        task = replace(train_task(self.round), answers=self.watch.begin_task(["site-01"]))
        site = hospital.open()
        if machine:
            site = replace(site, restoration=replace(site.restoration, machine=machine))
        answer = site.handle(task)
        note = self.watch.judge("site-01", answer)
        return Refusal("site-01", note.fault, "audit") if note.alarm else answer


@pytest.fixture
def hospital(tmp_path: Path) -> IndexedHospital:
    return IndexedHospital(tmp_path / "site", [0, 1, 2])


def copy_records(hospital: IndexedHospital, name: str) -> Path:
    copy = hospital.folder.parent / name
    shutil.copytree(hospital.folder / "records", copy)
    return copy


def bring_back(hospital: IndexedHospital, copy: Path) -> None:
    shutil.rmtree(hospital.folder / "records")
    shutil.copytree(copy, hospital.folder / "records")


def say_restored(hospital: IndexedHospital, *words: str) -> int:
    return run_app(app, ["restored", str(hospital.folder), "--because", WHY, *words])


def refused(answer: Update | Refusal) -> bool:
    return isinstance(answer, Refusal) and answer.code == "audit"


def test_an_audit_that_grows_is_answered_under(hospital: IndexedHospital) -> None:
    coordinator = Coordinator()
    for _ in range(3):
        assert isinstance(coordinator.ask(hospital), Update)
    assert run_app(app, ["pause", str(hospital.folder)]) == 0
    assert not refused(coordinator.ask(hospital))
    assert run_app(app, ["resume", str(hospital.folder)]) == 0
    assert isinstance(coordinator.ask(hospital), Update)
    assert not coordinator.watch.alarms


@pytest.mark.parametrize("later", [0, 9])
def test_a_snapshot_that_came_back_is_told_to_both_whatever_was_written_since(
    hospital: IndexedHospital, later: int, capsys: pytest.CaptureFixture[str]
) -> None:
    coordinator = Coordinator()
    assert isinstance(coordinator.ask(hospital), Update)
    copy = copy_records(hospital, "copy")
    assert isinstance(coordinator.ask(hospital), Update)
    bring_back(hospital, copy)
    for _ in range(later):  # the copy goes on, beyond the entry that the coordinator has
        assert run_app(app, ["pause", str(hospital.folder)]) == run_app(app, ["resume", str(hospital.folder)]) == 0
    assert run_app(app, ["audit", "verify", str(hospital.folder)]) == 0, "the chain alone does not show it"
    assert refused(coordinator.ask(hospital))
    assert refused(coordinator.ask(hospital))
    assert "lacks an answer" in coordinator.watch.alarms["site-01"]
    assert "`ceus-site restored`" in watch_obstacles(hospital.config)()[0]
    assert say_restored(hospital) == 0
    assert "Nothing was charged" in capsys.readouterr().out
    assert watch_obstacles(hospital.config)() == ("", "")
    assert isinstance(coordinator.ask(hospital), Update)
    assert isinstance(coordinator.ask(hospital), Update)
    assert not coordinator.watch.alarms
    (said,) = [entry for entry in entries(hospital.folder / "records") if entry["kind"] == "restored"]
    assert said["because"] == WHY
    assert said["lacking"]
    assert verify(hospital.folder / "records").ok


def test_what_is_said_before_the_first_task_holds_for_that_copy_only(hospital: IndexedHospital) -> None:
    coordinator = Coordinator()
    assert isinstance(coordinator.ask(hospital), Update)
    copy = copy_records(hospital, "copy")
    assert isinstance(coordinator.ask(hospital), Update)
    bring_back(hospital, copy)
    assert say_restored(hospital) == 0
    assert isinstance(coordinator.ask(hospital), Update), "the hospital said it before it was asked"
    copy = copy_records(hospital, "later copy")
    assert isinstance(coordinator.ask(hospital), Update)
    bring_back(hospital, copy)
    assert refused(coordinator.ask(hospital)), "another copy, of which nothing was said"


def test_an_answer_that_was_lost_is_no_older_copy(hospital: IndexedHospital) -> None:
    coordinator = Coordinator()
    assert isinstance(coordinator.ask(hospital), Update)
    for number in (7, 8, 9):
        assert isinstance(hospital.open().handle(train_task(number)), Update)
    assert isinstance(coordinator.ask(hospital), Update)


def test_a_new_audit_without_a_word_is_an_older_copy_too(hospital: IndexedHospital) -> None:
    coordinator = Coordinator()
    assert isinstance(coordinator.ask(hospital), Update)
    shutil.rmtree(hospital.folder / "records")
    assert refused(coordinator.ask(hospital))
    assert say_restored(hospital) == 0
    assert isinstance(coordinator.ask(hospital), Update)


def test_the_words_are_asked_for(hospital: IndexedHospital, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_app(app, ["restored", str(hospital.folder), "--because", "disk"]) == 1
    assert "what happened and who decided" in capsys.readouterr().err
    assert not (hospital.folder / "records").exists()


def test_a_spoilt_file_stops_every_answer_and_is_written_anew(hospital: IndexedHospital) -> None:
    coordinator = Coordinator()
    assert isinstance(coordinator.ask(hospital), Update)
    (hospital.folder / "records" / "restored.json").write_text("{")
    assert refused(coordinator.ask(hospital))
    assert "cannot be read" in watch_obstacles(hospital.config)()[0]
    assert say_restored(hospital) == 0
    assert read_restoration(hospital.folder / "records").entry
    assert isinstance(coordinator.ask(hospital), Update)


ONE, TWO = "ab" * 8, "cd" * 8


def test_a_kit_on_two_machines_is_told_to_both(hospital: IndexedHospital, tmp_path: Path) -> None:
    coordinator = Coordinator()
    assert isinstance(coordinator.ask(hospital, machine=ONE), Update)
    shutil.copytree(hospital.folder, tmp_path / "copy")
    copy = IndexedHospital.__new__(IndexedHospital)
    copy.folder = tmp_path / "copy"
    assert isinstance(coordinator.ask(copy, machine=TWO), Update), "it may have been moved"
    assert TWO in coordinator.watch.moved["site-01"]
    wrong, known = watch_obstacles(copy.config)()
    assert wrong == ""
    assert "another machine" in known
    answer = coordinator.ask(hospital, machine=ONE)
    assert refused(answer)
    assert "another machine has answered with this site's kit" in watch_obstacles(hospital.config)()[0]
    assert say_restored(copy) == 0
    assert watch_obstacles(copy.config)() == ("", "")
    assert isinstance(coordinator.ask(copy, machine=TWO), Update)
    assert not coordinator.watch.moved
    assert not coordinator.watch.alarms
    assert isinstance(coordinator.ask(copy, machine=TWO), Update)
    assert watch_obstacles(copy.config)() == ("", "")
    assert refused(coordinator.ask(hospital, machine=ONE)), "the one that was given up"


def test_a_second_machine_with_a_folder_of_its_own_is_refused(hospital: IndexedHospital, tmp_path: Path) -> None:
    coordinator, other = Coordinator(), IndexedHospital(tmp_path / "other", [0, 1])
    assert isinstance(coordinator.ask(hospital, machine=ONE), Update)
    answer = coordinator.ask(other, machine=TWO)
    assert refused(answer)
    assert "another machine" in watch_obstacles(other.config)()[0]
    assert isinstance(coordinator.ask(hospital, machine=ONE), Update)


def test_a_machines_id_is_its_own_and_tells_nothing_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "machine-id"
    monkeypatch.setattr("client.worker.site.machine_id._FILES", (tmp_path / "none", file))
    assert read_machine_id("site-01") == ""
    file.write_text("0123456789abcdef0123456789abcdef\n")
    found = {read_machine_id(name) for name in ("site-01", "site-01", "site-02")}
    assert len(found) == 2
    assert all(len(one) == 16 and one not in file.read_text() for one in found)
