"""What the coordinator makes of the marks of a site's audit."""

from __future__ import annotations

import json

import pytest
import torch
from pydantic import ValidationError

from ceus_models.protocol.audit_mark import AuditMark, LastAnswer
from ceus_models.protocol.encoding import decode, to_bytes
from ceus_models.protocol.messages import Refusal, Task, Update
from server.transport.audit_watch import AnswerNote, AuditWatch


def head(number: int) -> str:
    return f"{number:064x}"


def update(number: int, restored: str = "", withdrawn: int = 0, chain: int = 0) -> Update:
    mark = AuditMark(number, head(number + 1000 * chain), restored)
    return Update("a", {"w": torch.ones(1)}, 1.0, audit=mark, withdrawn=withdrawn)


def test_marks_must_grow() -> None:
    watch = AuditWatch()
    assert watch.judge("a", update(5)).fault == ""
    assert watch.begin_task(["a", "b"]) == {"a": LastAnswer(head(5))}
    assert "back from entry 5 to 5" in watch.judge("a", update(5)).fault
    assert "back from entry 5 to 3" in watch.judge("a", update(3)).fault
    assert watch.alarms.keys() == {"a"}
    assert watch.begin_task(["a"]) == {"a": LastAnswer(head(5))}, "what was refused is not remembered"
    assert watch.judge("a", update(6)).fault == ""
    assert not watch.alarms


def test_a_hospital_says_once_for_each_copy_what_happened() -> None:
    watch = AuditWatch()
    watch.judge("a", update(9))
    assert watch.judge("a", update(4, restored=head(77))).fault == ""
    assert watch.judge("a", update(2, restored=head(77))).alarm
    assert watch.judge("a", update(2, restored=head(78))).fault == ""


def test_a_site_that_lacks_its_own_answer_is_told_of_whatever_number_it_names() -> None:
    watch = AuditWatch()
    watch.judge("a", update(9))
    note = watch.judge("a", Refusal("a", "lacks", "audit", AuditMark(50, head(50))))
    assert "lacks an answer" in note.fault
    assert watch.begin_task(["a"]) == {"a": LastAnswer(head(9))}
    assert watch.judge("a", Refusal("a", "paused", "policy", AuditMark(51, head(51)))).fault == ""


def test_an_answer_without_a_mark_does_not_follow_one_with_it() -> None:
    watch = AuditWatch()
    bare = Update("a", {}, 1.0)
    assert watch.judge("a", bare).fault == ""
    watch.judge("a", update(1))
    assert watch.judge("a", bare).alarm
    assert watch.judge("a", Refusal("a", "a frame that breaks the rules")).fault == "", "it never met the audit"


def test_the_message_log_brings_all_of_it_back() -> None:
    first, again = AuditWatch(), AuditWatch()
    notes = [first.judge("a", update(5, withdrawn=2)), first.judge("a", update(4))]
    lines = [json.loads(json.dumps({"event": "came", "site": "a", **note.as_json()})) for note in notes]
    for line in [
        *lines,
        {"event": "sent", "site": "a"},
        {"event": "came", "site": "b", "fault": "", "audit": {"n": 1}},
    ]:
        again.load_line(line)
    assert (again.alarms, again.begin_task(["a"]), again.withdrawn["a"]) == (
        first.alarms,
        {"a": LastAnswer(head(5))},
        2,
    )
    assert AnswerNote().as_json() == {"fault": ""}


def test_the_number_of_withdrawals_never_falls() -> None:
    watch = AuditWatch()
    for number, withdrawn in enumerate((0, 2, 0)):
        watch.judge("a", update(number + 1, withdrawn=withdrawn))
    assert watch.withdrawn == {"a": 2}


def test_marks_travel_and_are_checked() -> None:
    for answer in (update(3, head(4), 1), Refusal("a", "no", "audit", AuditMark(3, head(3)))):
        found = decode(to_bytes(answer))
        assert isinstance(found, Update | Refusal)
        assert found.audit == answer.audit
    task = decode(to_bytes(Task("hello", "s", 1, "hello", 0, answers={"a": LastAnswer(head(3), "ab" * 8)})))
    assert isinstance(task, Task)
    assert task.answers == {"a": LastAnswer(head(3), "ab" * 8)}
    with pytest.raises(ValidationError):
        AuditMark(1, "no hash")
    with pytest.raises(ValidationError):
        LastAnswer(head(1), "a machine's name")


def test_a_site_that_answers_from_another_machine_is_told_of_until_its_hospital_says_so() -> None:
    watch, other = AuditWatch(), "cd" * 8

    def answer(number: int, machine: str, restored: str = "") -> AnswerNote:
        return watch.judge("a", Update("a", {}, 1.0, audit=AuditMark(number, head(number), restored, machine)))

    assert answer(1, "").fault == answer(2, "ab" * 8).fault == ""
    assert not watch.moved, "an id that was not known before is no other one"
    assert answer(3, other).fault == "", "it may have been moved"
    assert other in watch.moved["a"]
    assert answer(4, other).fault == ""
    assert "a" in watch.moved, "nobody has said anything"
    answer(5, other, head(77))
    assert not watch.moved
    answer(6, "ab" * 8, head(77))
    assert "a" in watch.moved
