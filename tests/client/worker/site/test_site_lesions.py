"""A new index, a changed table and a withdrawal hold from the next task on, also for what was made of lesions."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from indexed_hospital import IndexedHospital, hello_task, train_task

from ceus_models.plan.plan import Plan
from ceus_models.plan.progress import Progress
from ceus_models.plan.rounds.any_stage import find_rounds
from ceus_models.plan.stages import Hello
from ceus_models.protocol.messages import LocalRule, PrivateRule, Refusal, Task, Update
from ceus_models.protocol.software import RequiredSoftware, read_software
from ceus_models.study.sample import Sample
from client.data.forms.withdrawals import Withdrawal, add_withdrawal
from client.worker.audit.log import entries
from client.worker.site.site import Site
from client.worker.tasks.handlers import WORK, train
from client.worker.tasks.place import Place
from client.worker.tasks.site_memory import SiteMemory
from tests.support.clients import SMALL
from tests.support.open_policy import open_text


@pytest.fixture
def hospital(tmp_path: Path) -> IndexedHospital:
    return IndexedHospital(tmp_path / "site", [0, 1, 2, 3, 4, 5])


def weight(site: Site, task: Task) -> float:
    answer = site.handle(task)
    assert isinstance(answer, Update), answer
    return answer.weight


def reason(site: Site, task: Task) -> str:
    answer = site.handle(task)
    assert isinstance(answer, Refusal), answer
    return answer.reason


def test_rows_that_were_deleted_are_not_trained_on_without_a_restart(hospital: IndexedHospital) -> None:
    site = hospital.open()
    assert weight(site, train_task(1)) == 6
    hospital.patients = [0, 1, 2]
    hospital.write_table()
    assert "ceus-site index" in reason(site, train_task(2)), "a changed table, and no index of it"
    hospital.index()
    assert weight(site, train_task(3)) == 3
    hospital.patients = [0, 1, 2, 3]
    hospital.write_table()
    hospital.index()
    assert weight(site, train_task(4)) == 4, "of those with which the study began"


def test_an_index_of_other_settings_than_it_names_is_not_used(hospital: IndexedHospital) -> None:
    site = hospital.open()
    assert weight(site, hello_task()) == 6
    index = hospital.folder / ".ceus" / "index.json"
    document = json.loads(index.read_text())
    document["settings"]["margin_px"] += 1
    index.write_text(json.dumps(document))
    assert "ceus-site index" in reason(site, hello_task())


def test_the_answers_entry_names_the_index_and_the_index_is_kept(hospital: IndexedHospital) -> None:
    site = hospital.open()
    weight(site, train_task(1))
    hospital.patients = [0, 1]
    hospital.write_table()
    hospital.index()
    weight(site, train_task(2))
    named = [entry["index"] for entry in entries(hospital.folder / "records") if entry["kind"] == "answer"]
    assert len(set(named)) == 2
    kept = [json.loads((hospital.folder / "records" / "indexes" / f"{name}.json").read_text()) for name in named]
    assert [len(one["lesions"]) for one in kept] == [6, 2]


def test_what_was_made_of_lesions_that_are_gone_goes_too(hospital: IndexedHospital) -> None:
    site, memory = hospital.open(), SiteMemory(hospital.folder / ".ceus" / "memory")

    def fill() -> None:
        memory.keep_table("t", {"row": torch.ones(3)})
        memory.local_states(train_task(2)).keep("disease/HCC", {"bn": torch.ones(1)})
        memory.residues(train_task(2)).keep("disease/HCC", {"residue": torch.ones(1)})

    def held() -> list[bool]:
        states = (memory.local_states(train_task(3)), memory.residues(train_task(3)))
        return [bool(memory.table("t")), *(state.read("disease/HCC") is not None for state in states)]

    weight(site, train_task(1))
    fill()
    weight(site, train_task(2))
    assert held() == [True, True, True]
    hospital.patients = [0, 1, 2, 3, 4]
    hospital.write_table()
    hospital.index()
    weight(site, train_task(3))
    assert held() == [False, False, False]
    fill()
    hospital.patients = [0, 1, 2, 3]
    hospital.write_table()
    hospital.index()
    weight(hospital.open(), train_task(4))
    assert held() == [False, False, False], "also where the worker was not running when the lesions went"
    fill()
    hospital.index(taken=1)
    weight(site, train_task(5))
    assert held() == [True, True, True], "a lesion that was corrected is not gone"


def test_a_round_that_lesions_left_while_it_was_answered_is_not_answered(
    hospital: IndexedHospital, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = hospital.open()

    def withdraw_meanwhile(task: Task, samples: list[Sample], place: Place) -> tuple[dict[str, torch.Tensor], float]:
        made = train(task, samples, place)
        place.memory.keep_table("t", {"row": torch.ones(3)})
        patient, lesion = hospital.pseudonym("patient", 2), hospital.pseudonym("lesion", 2)
        add_withdrawal(hospital.folder / "records", Withdrawal(patient, "now", (lesion,)))
        return made

    monkeypatch.setattr("client.worker.site.site.WORK", {**WORK, "train": withdraw_meanwhile})
    assert "withdrawn while it worked" in reason(site, train_task(1))
    assert not SiteMemory(hospital.folder / ".ceus" / "memory").table("t")
    monkeypatch.undo()
    assert weight(site, train_task(1)) == 5, "nothing had left, so the round may be answered"


def test_a_round_is_not_answered_again_from_fewer_lesions(hospital: IndexedHospital) -> None:
    site = hospital.open()
    first = site.handle(train_task(1))
    assert isinstance(first, Update)
    again = site.handle(train_task(1))
    assert isinstance(again, Update)
    assert all(torch.equal(first.sums[name], again.sums[name]) for name in first.sums)
    hospital.patients = [0, 1, 2, 3, 4]
    hospital.write_table()
    hospital.index()
    assert "ask the next" in reason(site, train_task(1)), "the difference would be the lesion that was removed"
    assert "ask the next" in reason(hospital.open(), train_task(1)), "also after a restart"
    assert weight(site, train_task(2)) == 5
    assert weight(site, hello_task()) == 5
    hospital.patients = [0, 1, 2, 3]
    hospital.write_table()
    hospital.index()
    assert weight(site, hello_task()) == 4, "hello has no more than its counts"


def test_a_withdrawal_list_that_cannot_be_read_stops_every_answer(hospital: IndexedHospital) -> None:
    site = hospital.open()
    (hospital.folder / "records" / "withdrawn.json").write_text("no JSON")
    assert "ceus-site index" in reason(site, train_task(1))


def test_the_coordinator_is_told_how_many_patients_of_the_study_withdrew(hospital: IndexedHospital) -> None:
    site = hospital.open()

    def count_withdrawn(task: Task) -> int:
        answer = site.handle(task)
        assert isinstance(answer, Update), answer
        return answer.withdrawn

    def withdraw(number: int, *more: str) -> None:
        patient, lesion = hospital.pseudonym("patient", number), hospital.pseudonym("lesion", number)
        add_withdrawal(hospital.folder / "records", Withdrawal(patient, "now", (lesion, *more)))

    assert count_withdrawn(hello_task()) == count_withdrawn(train_task(1)) == 0
    withdraw(2, "another lesion of the same patient")
    assert count_withdrawn(train_task(2)) == count_withdrawn(hello_task()) == 1
    withdraw(9)
    assert count_withdrawn(train_task(3)) == 1, "who was not in the study has left none"
    withdraw(3)
    assert count_withdrawn(train_task(4)) == 2


def test_within_a_protected_stage_the_number_stays_as_it_was_at_its_first_answer(hospital: IndexedHospital) -> None:
    site = hospital.open()
    noised = LocalRule(momentum=0.0, trains="heads", private=PrivateRule(1.0, 50.0))

    def count_withdrawn(stage: str, number: int) -> int:
        answer = site.handle(replace(train_task(number), stage=stage, rule=noised, level="local"))
        assert isinstance(answer, Update), answer
        return answer.withdrawn

    assert count_withdrawn("one", 1) == 0
    lesion = hospital.pseudonym("lesion", 2)
    add_withdrawal(hospital.folder / "records", Withdrawal(hospital.pseudonym("patient", 2), "now", (lesion,)))
    assert count_withdrawn("one", 2) == 0, "else two totals around the withdrawal would be those around one patient"
    site = hospital.open()
    assert count_withdrawn("one", 3) == 0, "also after a restart"
    assert count_withdrawn("two", 1) == 1
    answer = site.handle(hello_task())
    assert isinstance(answer, Update)
    assert answer.withdrawn == 1


@pytest.mark.parametrize(("required", "fits"), [("", True), ("0.0.1", False)])
def test_a_site_answers_with_the_software_that_the_plan_requires(
    hospital: IndexedHospital, required: str, fits: bool
) -> None:
    levels = {"training": "none", "statistics": "none", "evaluation": "none", "minimum_sites": 3}
    (hospital.folder / "policy.yaml").write_text(open_text(privacy=levels))
    software = RequiredSoftware(required or read_software().fedceus, None if required else read_software().package)
    plan = Plan("small", (Hello("hello"),), processing=SMALL, software=software)
    answer = hospital.open().handle(find_rounds(plan.stages[0]).task(Progress(), plan.study(1)))
    if fits:
        assert isinstance(answer, Update), answer
        assert answer.software == read_software()
    else:
        assert isinstance(answer, Refusal)
        assert answer.code == "version"
        assert "requires fedceus 0.0.1" in answer.reason
