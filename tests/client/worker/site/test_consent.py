"""Policy, standing and the day's rounds as a running worker sees them: at every task, without a restart."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest
import torch
from toy_lesions import task

from ceus_models.protocol.message_ids import ReceivedTask
from ceus_models.runtime.errors import ExpectedError
from client.policy.approved_studies import APPROVED_FILE, ApprovedStudy, change_approved
from client.policy.policy import Policy, TaskDeclined
from client.policy.policy_file import PolicyFile
from client.worker.audit.log import Audit, entries
from client.worker.audit.recorder import open_recorder
from client.worker.site.consent import SiteConsent
from client.worker.site.opt_out import STANDING_FILE, Participation, write_participation
from client.worker.tasks.site_memory import SiteMemory
from tests.support.open_policy import open_text

HELLO = ReceivedTask(task("hello"))


class Folder:
    """A hospital's folder with a policy, and a clock that a test sets."""

    def __init__(self, path: Path) -> None:
        self.path, self.records = path, path / "records"
        self.now = datetime.datetime(2026, 11, 20, 12, tzinfo=datetime.UTC)
        self.applied: list[Policy] = []
        self.log: list[str] = []
        self.memory = SiteMemory(path / "memory")
        self.policy(open_text())

    def policy(self, text: str) -> None:
        (self.path / "policy.yaml").write_text(text, encoding="utf-8")

    def office(self) -> SiteConsent:
        return SiteConsent(
            PolicyFile(self.path),
            self.records,
            self.memory,
            open_recorder(Audit(self.records)),
            self.applied.append,
            self.log.append,
            lambda: self.now,
        )

    def kinds(self) -> list[str]:
        return [entry["kind"] for entry in entries(self.records)]


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def test_a_changed_policy_holds_at_once_is_applied_and_written_down_once(folder: Folder) -> None:
    office = folder.office()
    assert office.admit(HELLO).minimum_lesions == 1
    assert office.admit(HELLO).minimum_lesions == 1
    folder.policy(open_text(minimum_lesions=7))
    assert office.admit(HELLO).minimum_lesions == 7
    assert [policy.minimum_lesions for policy in folder.applied] == [1, 7]
    found = list(entries(folder.records))
    assert [entry["kind"] for entry in found] == ["policy", "policy"]
    assert found[1]["values"]["minimum_lesions"] == 7
    assert found[1]["values"]["studies"] == "any"
    folder.office().admit(HELLO)  # a new start: the same policy is not news
    assert folder.kinds() == ["policy", "policy"]


def test_a_change_while_the_worker_was_down_is_written_at_the_next_start(folder: Folder) -> None:
    folder.office().policy()
    folder.policy(open_text(kinds=["hello"]))
    folder.office().policy()
    assert folder.kinds() == ["policy", "policy"]


@pytest.mark.parametrize("text", [open_text(kinds=["gossip"]), "minimum_lesions: 1\n", "", None])
def test_a_policy_with_a_fault_lets_nothing_pass_until_it_is_mended(folder: Folder, text: str | None) -> None:
    office = folder.office()
    office.admit(HELLO)
    if text is None:
        (folder.path / "policy.yaml").unlink()
    else:
        folder.policy(text)
    for _ in range(2):
        with pytest.raises(TaskDeclined, match="has a fault") as caught:
            office.admit(HELLO)
    assert caught.value.code == "policy"
    assert "gossip" not in caught.value.reason
    assert any("policy.yaml has a fault" in line for line in folder.log)
    assert list(entries(folder.records))[-1]["faults"] > 0
    folder.policy(open_text())
    office.admit(HELLO)


def test_pause_and_resume_hold_at_once_for_a_running_worker(folder: Folder) -> None:
    office = folder.office()
    office.admit(HELLO)
    write_participation(folder.records, Participation().pause())
    with pytest.raises(TaskDeclined, match="paused since 20"):
        office.admit(HELLO)
    with pytest.raises(TaskDeclined, match="paused"):
        office.release(HELLO)
    write_participation(folder.records, Participation().pause().resume())
    office.admit(HELLO)
    office.release(HELLO)


def test_work_that_ends_after_a_withdrawal_leaves_nothing_behind(folder: Folder) -> None:
    office, asked = folder.office(), task("train")
    office.admit(ReceivedTask(asked))
    write_participation(folder.records, Participation().withdraw(asked.study))
    folder.memory.local_states(asked).keep("disease/HCC", {"bn": torch.ones(1)})  # the work under way
    with pytest.raises(TaskDeclined, match="withdrawn from the study"):
        office.release(ReceivedTask(asked))
    assert folder.memory.local_states(task("train", round=2)).read("disease/HCC") is None
    office.admit(ReceivedTask(task("train", study="another")))


def test_a_standing_that_cannot_be_read_closes_the_site(folder: Folder) -> None:
    office = folder.office()
    office.admit(HELLO)
    (folder.records / STANDING_FILE).write_text("oops", encoding="utf-8")
    with pytest.raises(TaskDeclined, match="cannot tell whether it takes part"):
        office.admit(HELLO)
    assert any(STANDING_FILE in line for line in folder.log)


def test_rounds_of_a_day_are_counted_over_restarts(folder: Folder) -> None:
    folder.policy(open_text(rounds_per_day=2) + "hours: {open: 00:00, close: 24:00, zone: Asia/Shanghai}\n")
    for number in (1, 2, 2, 1):  # a round that is asked again is the same round
        office = folder.office()
        asked = task("hello", round=number)
        office.admit(ReceivedTask(asked))
        office.release(ReceivedTask(asked))
    with pytest.raises(TaskDeclined, match="rounds_per_day is 2, and so many were answered on 2026-11-20"):
        folder.office().admit(ReceivedTask(task("hello", round=3)))
    folder.now += datetime.timedelta(hours=4)  # midnight in Shanghai
    folder.office().admit(ReceivedTask(task("hello", round=3)))


def test_rounds_that_the_policy_refuses_do_not_count(folder: Folder) -> None:
    folder.policy(open_text(rounds_per_day=1, kinds=["hello"]))
    office = folder.office()
    for number in range(3):
        with pytest.raises(TaskDeclined, match="kinds"):
            office.admit(ReceivedTask(task("tally", round=number)))
    office.admit(HELLO)
    with pytest.raises(TaskDeclined, match="rounds_per_day"):  # counted when admitted: its work may fail by a lesion
        office.admit(ReceivedTask(task("hello", round=2)))
    office.release(HELLO)
    office.admit(HELLO)


def test_an_audit_that_was_changed_stops_the_site_from_starting(folder: Folder) -> None:
    folder.office().admit(HELLO)
    log = folder.records / "audit.jsonl"
    log.write_bytes(log.read_bytes().replace(b'"minimum_lesions":1', b'"minimum_lesions":2'))
    with pytest.raises(ExpectedError, match=r"audit\.jsonl line 1"):
        open_recorder(Audit(folder.records))
    with pytest.raises(ExpectedError):
        folder.office()


def test_an_approval_opens_from_the_next_task_on_and_its_end_closes(folder: Folder) -> None:
    folder.policy(open_text(studies="approved"))
    office, asked = folder.office(), ReceivedTask(task("hello", study="a" * 64))
    assert "is not approved here" in declined(office, asked)
    one = ApprovedStudy(study="liver", plan_digest="a" * 64, bundle="b", reviewers=("it",), approved=folder.now)
    change_approved(folder.records, lambda known: known.with_study(one))
    office.admit(asked)
    office.release(asked)
    change_approved(folder.records, lambda known: known.without("b", folder.now))
    assert "is not approved here" in declined(office, asked)
    with pytest.raises(TaskDeclined, match="is not approved here"):
        office.release(asked)


def test_approvals_that_cannot_be_read_open_nothing(folder: Folder) -> None:
    folder.policy(open_text(studies="approved"))
    office = folder.office()
    folder.records.mkdir(exist_ok=True)
    (folder.records / APPROVED_FILE).write_text("{")
    assert declined(office) == "this site cannot tell what is approved, so nothing is answered"
    assert any("restore it from a backup" in line for line in folder.log)


def declined(office: SiteConsent, asked: ReceivedTask = HELLO) -> str:
    with pytest.raises(TaskDeclined) as caught:
        office.admit(asked)
    return caught.value.reason
