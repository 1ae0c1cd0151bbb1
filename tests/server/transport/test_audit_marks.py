"""A site has one audit for all studies: its jumps forward are no alarm, a step back is one, whichever study sees it."""

from __future__ import annotations

import json
import shutil
from functools import partial
from pathlib import Path

import pytest
import torch

from ceus_models.protocol.audit_mark import AuditMark, LastAnswer
from ceus_models.protocol.messages import Refusal, Task, Update
from server.run_folder.paths import Home, StudyFolder
from server.run_folder.studies import list_runs, write_settings
from server.transport.audit_marks import AuditMarks
from server.transport.audit_watch import AnswerNote, AuditWatch
from server.transport.message_log import FILE, MessageLog

TASK = Task("train", "s", 7, "one", 4)


def head(number: int) -> str:
    return f"{number:064x}"


class Study:
    """The coordinator's process of one study of the federation."""

    def __init__(self, home: Home, name: str) -> None:
        self.folder = StudyFolder(home, name)
        write_settings(self.folder, f"studies/{name}/plan.yaml", 1)
        self.log = MessageLog(self.folder.run)
        self.watch = AuditWatch(others=AuditMarks(partial(list_runs, home)).read)

    def ask(self) -> LastAnswer | None:
        """What the task brings to the site."""
        return self.watch.begin_task(["a"]).get("a")

    def take(self, number: int, restored: str = "") -> AnswerNote:
        mark = AuditMark(number, head(number), restored)
        note = self.watch.judge("a", Update("a", {"w": torch.ones(1)}, 1.0, audit=mark))
        self.log.on_answer(TASK, "a", b"x", 1.0, note)
        return note


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def test_answers_to_the_other_study_are_no_alarm_in_whichever_order_they_come(home: Home) -> None:
    first, second = Study(home, "first"), Study(home, "second")
    for study, number in ((first, 2), (second, 4), (first, 6), (first, 8), (second, 10)):
        study.ask()
        assert study.take(number).fault == ""
    first.ask()
    second.ask()
    assert second.take(14).fault == "", "answered later, received earlier"
    assert first.take(12).fault == ""
    assert not first.watch.alarms
    assert not second.watch.alarms


def test_every_task_brings_the_newest_answer_of_all_studies_so_that_the_site_finds_a_copy(home: Home) -> None:
    first, second = Study(home, "first"), Study(home, "second")
    assert first.ask() is None
    first.take(5)
    assert second.ask() == LastAnswer(head(5))
    second.take(9)
    assert first.ask() == LastAnswer(head(9))
    assert second.ask() == LastAnswer(head(9))


def test_a_copy_that_is_newer_than_ones_own_last_answer_is_found_by_the_others(home: Home) -> None:
    first, second = Study(home, "first"), Study(home, "second")
    for study, number in ((first, 90), (second, 100)):
        study.ask()
        study.take(number)
    first.ask()
    note = first.take(96)  # of a copy of entry 95: later than 90, and yet it went back
    assert note.alarm
    assert "back from entry 100 to 96" in note.fault
    assert first.ask() == LastAnswer(head(100)), "what was refused is not remembered"


def test_a_hospital_says_once_for_all_studies_that_its_records_came_back(home: Home) -> None:
    first, second = Study(home, "first"), Study(home, "second")
    for study, number in ((first, 90), (second, 100)):
        study.ask()
        study.take(number)
    second.ask()
    assert second.take(60, restored=head(7)).fault == ""
    assert first.ask() == LastAnswer(head(60))
    assert first.take(62, restored=head(7)).fault == ""
    assert second.ask() == LastAnswer(head(62))
    assert second.take(61, restored=head(7)).alarm


def test_a_refusal_and_an_alarm_bring_no_mark(home: Home) -> None:
    first, second = Study(home, "first"), Study(home, "second")
    first.ask()
    first.take(5)
    refusal = Refusal("a", "lacks", "audit", AuditMark(50, head(50)))
    first.log.on_answer(TASK, "a", b"x", 1.0, first.watch.judge("a", refusal))
    assert second.ask() == LastAnswer(head(5))


def test_a_study_that_was_removed_still_counts_and_a_line_in_writing_is_read_later(home: Home) -> None:
    first, second = Study(home, "first"), Study(home, "second")
    first.ask()
    first.take(5)
    path = first.folder.run / FILE
    whole = path.read_bytes()
    path.write_bytes(whole[:-10])
    assert second.ask() is None
    path.write_bytes(whole)
    assert second.ask() == LastAnswer(head(5))
    shutil.move(first.folder.folder, home.removed / "first-20260101T000000")
    fresh = Study(home, "third")
    assert fresh.ask() == LastAnswer(head(5))


def test_a_log_that_begins_anew_is_read_from_its_beginning(home: Home) -> None:
    first, second = Study(home, "first"), Study(home, "second")
    for number in (5, 7):
        first.ask()
        first.take(number)
    assert second.ask() == LastAnswer(head(7))
    path = first.folder.run / FILE
    path.unlink()
    path.write_text(
        json.dumps({"event": "came", "site": "a", "at": 9e9, "audit": {"number": 9, "head": head(9)}}) + "\n"
    )
    assert second.ask() == LastAnswer(head(9))
