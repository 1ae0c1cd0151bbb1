"""The one way out: numbers that are not finite, a ledger that is gone, and what the audit says of an answer."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from toy_lesions import lesions, task

from ceus_models.metrics.evaluation_release import evaluation_sensitivity, list_tables
from ceus_models.plan.plan import Plan
from ceus_models.plan.progress import Progress
from ceus_models.plan.rounds.any_stage import find_rounds
from ceus_models.plan.stages import Evaluate, Hello, Statistics
from ceus_models.plan.terms.settings import Screening
from ceus_models.plan.train_stage import Train
from ceus_models.protocol.messages import CountNoise, LocalRule, PrivateRule, Refusal, Task, Update
from ceus_models.protocol.privacy.accountant import compose, compute_epsilon
from client.policy.policy import TaskDeclined
from client.policy.privacy_levels import PrivacyLevels
from client.worker.audit.log import Audit, entries
from client.worker.audit.recorder import open_recorder
from client.worker.privacy.release import replace_not_finite
from client.worker.privacy.task_checks import check_alone
from client.worker.site.site import Site
from client.worker.tasks.handlers import WORK
from server.rounds.screening import Gate
from tests.support.open_policy import OPEN_LEVELS, open_policy

LOCAL = LocalRule(momentum=0.0, trains="heads", private=PrivateRule(1.0, 50.0))
NET = "disease/HCC"


def site(folder: Path, **changes: object) -> Site:
    trail = open_recorder(Audit(folder / "records"))
    made = Site("site-01", lesions(8), "", open_policy(), folder / "memory", trail=trail, records=folder / "records")
    return replace(made, **changes)


def test_a_group_with_a_number_that_is_not_finite_is_zeros_and_only_the_log_says_so() -> None:
    told: list[str] = []
    bad, good = torch.tensor([1.0, float("nan")]), torch.ones(3)
    found = replace_not_finite({"a|w": bad, "a|#weight": torch.ones(1), "b|w": good}, told.append)
    assert [found["a|w"].tolist(), found["a|#weight"].tolist()] == [[0.0, 0.0], [0.0]]
    assert torch.equal(found["b|w"], good)
    assert len(told) == 1


def test_an_answer_has_the_same_form_whatever_a_lesion_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = task("train", (NET,), rule=LocalRule(learning_rate=0.01))
    plain = site(tmp_path / "a").handle(asked)
    assert isinstance(plain, Update)

    def diverge(*given: object) -> tuple[dict[str, torch.Tensor], float]:
        sums, weight = WORK["train"](*given)
        return {name: t * float("nan") for name, t in sums.items()}, weight

    monkeypatch.setattr("client.worker.site.site.WORK", {**WORK, "train": diverge})
    broken = site(tmp_path / "b").handle(asked)
    assert isinstance(broken, Update)
    assert {n: (t.shape, t.dtype) for n, t in broken.sums.items()} == {
        n: (t.shape, t.dtype) for n, t in plain.sums.items()
    }
    assert not any(bool(t.any()) for t in broken.sums.values())


def test_a_private_answer_is_charged_named_in_the_audit_and_repeated_for_nothing(tmp_path: Path) -> None:
    asked = task("train", (NET,), rule=LOCAL, level="local")
    first, again = (site(tmp_path).handle(asked) for _ in range(2))
    assert isinstance(first, Update)
    assert isinstance(again, Update)
    assert first.spent > 0
    assert all(torch.equal(first.sums[name], again.sums[name]) for name in first.sums)
    assert len([e for e in entries(tmp_path / "records", "budget") if e["kind"] == "spent"]) == 1
    assert {e["privacy"] for e in entries(tmp_path / "records") if e["kind"] == "answer"} == {"local"}


def test_a_ledger_that_is_gone_stops_private_answers(tmp_path: Path) -> None:
    assert isinstance(site(tmp_path).handle(task("train", (NET,), rule=LOCAL, level="local")), Update)
    for path in (tmp_path / "records").glob("budget.*"):
        path.unlink()
    told: list[str] = []
    answer = site(tmp_path, on_fault=told.append).handle(task("train", (NET,), rule=LOCAL, level="local", round=2))
    assert isinstance(answer, Refusal)
    assert "expected a privacy ledger" in told[0]


def test_a_level_with_noise_is_not_answered_without(tmp_path: Path) -> None:
    answer = site(tmp_path).handle(task("train", (NET,), level="local"))
    assert isinstance(answer, Refusal)
    assert (answer.code, "expected noise" in answer.reason) == ("plan", True)


def test_an_evaluation_at_level_local_carries_the_whole_noise_and_is_charged(tmp_path: Path) -> None:
    made, found = site(tmp_path), list[torch.Tensor]()
    for number in range(6):
        asked = evaluation("local", count_noise=CountNoise(8.0, 1), stage=f"test {number}", comparisons=False)
        answer = made.handle(asked)
        assert isinstance(answer, Update)
        assert Gate(asked, Screening(), {made.name: {"training_a": 8}}).screen(made.name, answer).fault is None
        assert {name.partition("|")[2] for name in answer.sums} == set(list_tables((NET,), comparisons=False))
        found += [tensor.reshape(-1) for tensor in answer.sums.values()]
    sd = 8.0 * evaluation_sensitivity((NET,), comparisons=False)
    assert float(torch.cat(found).double().std()) == pytest.approx(sd, rel=0.15)
    assert answer.spent == pytest.approx(compute_epsilon(compose([8.0] * 6), 1e-5))


def test_a_sum_that_is_this_hospitals_own_is_not_answered_unless_the_hospital_says_so() -> None:
    asked, held = [("evaluate", "sums", ("external_test_c", "internal_test"))], {"external_test_c", "internal_test"}
    safe = PrivacyLevels()
    with pytest.raises(TaskDeclined, match="found internal_test, which this hospital has alone"):
        check_alone(asked, held, safe)
    check_alone(asked, {"external_test_c"}, safe)
    check_alone([("evaluate", level, ("internal_test",)) for level in ("distributed", "local")], held, safe)
    check_alone(asked, held, replace(safe, alone=True))
    check_alone(asked, held, replace(safe, evaluation="none"))
    assert [name for name, _ in replace(safe, alone=True).list_risks()] == ["privacy.alone"]


def test_neither_such_a_task_nor_a_plan_with_it_is_begun(tmp_path: Path) -> None:
    tested = Evaluate("evaluate", "test", (NET,), ("internal_test", "external_test_c"), level="sums")
    training = Train("train", "training", (NET,), ("training_a",), 1)
    plan = Plan("alone", (Hello("hello"), Statistics("statistics"), training, tested))
    levels = replace(OPEN_LEVELS, evaluation="sums", bound_to_plan=True)
    made = site(tmp_path, samples=lesions(8, "internal_test"), policy=open_policy(privacy=levels))
    made = replace(made, processing=plan.processing.digest())
    hello = find_rounds(plan.stages[0]).task(Progress(), plan.study(1))
    for asked in (hello, evaluation("sums", cohorts=("internal_test",))):
        answer = made.handle(asked)
        assert isinstance(answer, Refusal)
        assert (answer.code, "this hospital has alone" in answer.reason) == ("policy", True)


def evaluation(level: str, **changes: object) -> Task:
    return task("evaluate", (NET,), level=level, **{"cohorts": ("training_a",), **changes})
