"""The audit of a real site: what is asked and answered is there before it leaves, and no lesion is."""

from __future__ import annotations

import errno
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from toy_lesions import lesions, task, with_submodels

from ceus_models.protocol.encoding import to_bytes
from ceus_models.protocol.message_ids import compute_content_id
from ceus_models.protocol.messages import LocalRule, Refusal, Task, Update
from ceus_models.protocol.state import digest, norm, select_net
from ceus_models.protocol.task_id import compute_task_id
from client.policy.policy import Policy, TaskDeclined
from client.worker.audit.log import Audit, Entry, entries
from client.worker.audit.recorder import open_recorder
from client.worker.audit.verify import verify
from client.worker.site.site import UNANSWERED, Site
from client.worker.tasks.handlers import WORK
from tests.support.open_policy import open_policy


def site(folder: Path, **changes: Any) -> Site:
    trail = open_recorder(Audit(folder / "records"))
    values = {"policy": open_policy(), "samples": lesions(6), "memory": folder / "memory", "trail": trail}
    return Site("site-01", processing="p1", **{**values, **changes})


def audited(folder: Path, kind: str = "") -> list[Entry]:
    return [entry for entry in entries(folder / "records") if kind in ("", entry["kind"])]


def test_every_answer_has_its_task_before_it_and_ids_that_the_coordinator_can_derive(tmp_path: Path) -> None:
    asked = task("train", ("disease/HCC", "disease/HM"), seed=9, round=4, rule=LocalRule(epochs=1))
    answer = site(tmp_path).handle(asked)
    assert isinstance(answer, Update)
    begun, layout, given = audited(tmp_path)
    assert [entry["kind"] for entry in (begun, layout, given)] == ["task", "layout", "answer"]
    assert begun["task"] == given["task"] == compute_task_id(asked)
    assert (begun["digest"], begun["bytes"]) == compute_content_id(asked)
    assert (given["digest"], given["bytes"]) == compute_content_id(answer)
    assert given["bytes"] == len(to_bytes(answer))
    assert begun["rule"]["epochs"] == 1
    assert (begun["nets"], begun["seed"], begun["round"]) == (["disease/HCC", "disease/HM"], 9, 4)
    assert (given["weight"], given["privacy"], given["spent"]) == (answer.weight, "none", 0.0)


def test_an_answer_is_measured_net_by_net_and_its_names_and_shapes_are_kept_once(tmp_path: Path) -> None:
    asked = task("train", ("disease/HCC",))
    here = site(tmp_path)
    answer = here.handle(asked)
    assert isinstance(answer, Update)
    here.handle(Task(**{**vars(asked), "round": 2}))
    site(tmp_path).handle(Task(**{**vars(asked), "round": 3}))  # another start of the worker
    (layout,) = audited(tmp_path, "layout")
    answers = audited(tmp_path, "answer")
    assert [entry["layout"] for entry in answers] == [layout["layout"]] * 3
    group = answers[0]["groups"]["disease/HCC"]
    assert group["norm"] == pytest.approx(norm(select_net(answer.sums, "disease/HCC")), rel=1e-5)
    assert group["digest"] == digest({name.partition("|")[2]: tensor for name, tensor in answer.sums.items()})
    assert group["tensors"] == len(answer.sums) == len(layout["groups"]["disease/HCC"])
    assert group["bytes"] == sum(t.numel() * t.element_size() for t in answer.sums.values())
    for member, told in layout["groups"]["disease/HCC"].items():
        tensor = answer.sums[f"disease/HCC|{member}"]
        assert told == f"{str(tensor.dtype).removeprefix('torch.')}{list(tensor.shape)}"


def test_no_lesion_and_no_path_is_in_the_audit_whatever_is_asked(tmp_path: Path) -> None:
    here = site(tmp_path)
    for kind in WORK:
        here.handle(with_submodels(task(kind, ("disease/HCC", "fusion/D"), comparisons=True)))
    text = (tmp_path / "records" / "audit.jsonl").read_text(encoding="utf-8")
    assert len(audited(tmp_path, "answer")) == len(WORK)
    for sample in here.samples:
        assert sample.key not in text
        assert sample.patient not in text
    assert str(tmp_path) not in text


def test_a_refusal_is_there_with_code_and_reason(tmp_path: Path) -> None:
    here = site(tmp_path, policy=open_policy(kinds=("hello",)))
    refused = here.handle(task("tally"))
    assert isinstance(refused, Refusal)
    here.record_refusal(Refusal("site-01", "the courier refused: a bundle that nobody approved", "policy"))
    first, second = audited(tmp_path)
    assert (first["kind"], first["code"], first["reason"]) == ("refusal", "policy", refused.reason)
    assert (first["task"], first["asked"]) == (compute_task_id(task("tally")), "tally")
    assert second["reason"] == "the courier refused: a bundle that nobody approved"


def test_nothing_leaves_that_cannot_be_written_down(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    here = site(tmp_path, on_fault=told.append)

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("client.worker.audit.log.os.pwrite", full)
    answer = here.handle(task("hello"))
    assert isinstance(answer, Refusal)
    assert "cannot write its audit, so nothing leaves" in answer.reason
    assert "free disk space" in told[0]
    monkeypatch.undo()
    assert isinstance(here.handle(task("hello")), Update)
    assert [entry["kind"] for entry in audited(tmp_path)] == ["task", "layout", "answer"]


def test_a_pause_during_the_work_keeps_the_answer_here(tmp_path: Path) -> None:
    class Paused:
        """A consent whose hospital says no while the work is done."""

        def admit(self, asked: Task) -> Policy:
            return open_policy()

        def release(self, asked: Task) -> None:
            raise TaskDeclined("policy", "paused")

    answer = site(tmp_path, policy=Paused()).handle(task("hello"))
    assert isinstance(answer, Refusal)
    assert [entry["kind"] for entry in audited(tmp_path)] == ["task", "refusal"]


def test_an_unexpected_error_is_a_refusal_in_the_audit_without_its_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise OSError("/data/SMITH_JOHN.dcm cannot be read")

    monkeypatch.setattr("client.worker.site.site.WORK", {**WORK, "hello": broken})
    site(tmp_path).handle(task("hello"))
    text = json.dumps(audited(tmp_path))
    assert UNANSWERED in text
    assert "OSError" not in text
    assert "SMITH" not in text


def test_too_little_memory_is_told_as_any_failure_of_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for error in (MemoryError(), RuntimeError("[enforce] DefaultCPUAllocator: can't allocate memory: you tried …")):

        def short(*_: object, error: Exception = error) -> None:
            raise error

        monkeypatch.setattr("client.worker.site.site.WORK", {**WORK, "hello": short})
        answer = site(tmp_path).handle(task("hello"))
        assert isinstance(answer, Refusal)
        assert (answer.reason, answer.code) == (UNANSWERED, "error")


def test_an_answer_names_the_entry_before_its_own(tmp_path: Path) -> None:
    first, second = site(tmp_path).handle(task("hello")), site(tmp_path).handle(task("hello"))
    found = {entry["n"]: entry for entry in audited(tmp_path)}
    for answer in (first, second):
        assert answer.audit
        assert found[answer.audit.number]["hash"] == answer.audit.head
    assert first.audit
    assert second.audit
    assert [found[n]["kind"] for n in (first.audit.number, second.audit.number)] == ["task", "task"]
    assert found[first.audit.number + 2]["digest"] == compute_content_id(first)[0], "behind the layout"


def test_a_site_without_an_audit_answers_the_same(tmp_path: Path) -> None:
    asked = task("train", ("disease/HCC",))
    plain, written = site(tmp_path / "a", trail=None).handle(asked), site(tmp_path / "b").handle(asked)
    assert isinstance(written, Update)
    assert compute_content_id(plain) == compute_content_id(replace(written, audit=None))
    assert not (tmp_path / "a" / "records" / "audit.jsonl").exists()
    assert verify(tmp_path / "b" / "records").entries == 3
