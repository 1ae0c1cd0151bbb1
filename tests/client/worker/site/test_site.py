from __future__ import annotations

from pathlib import Path

import pytest
import torch
from toy_lesions import lesions, task, with_submodels

from ceus_models.protocol.messages import LocalRule, Refusal, Task, Update
from client.policy.policy import Caps, Policy
from client.worker.site.site import UNANSWERED, Site
from client.worker.tasks.handlers import WORK
from tests.support.open_policy import open_policy


def site(folder: Path, policy: Policy | None = None, **changes: object) -> Site:
    values = {"name": "site-01", "samples": lesions(6), "processing": "p1", "policy": policy or open_policy()}
    return Site(**{**values, "memory": folder, **changes})


def changed(asked: Task, **changes: object) -> Task:
    return Task(**{**vars(asked), **changes})


def refused(answer: Update | Refusal) -> Refusal:
    assert isinstance(answer, Refusal)
    return answer


def test_an_answer_is_the_sums_of_the_work(tmp_path: Path) -> None:
    answer = site(tmp_path).handle(task("hello", cohorts=("training_a", "validation"), processing="p1"))
    assert isinstance(answer, Update)
    assert answer.site == "site-01"
    assert answer.weight == 6
    assert set(answer.sums) == {"training_a|lesions", "training_a|patients"}


@pytest.mark.parametrize("kind", WORK)
def test_asked_twice_answered_the_same(kind: str, tmp_path: Path) -> None:
    asked = with_submodels(task(kind, ("disease/HCC", "fusion/DCB"), comparisons=True))
    first, again = (site(tmp_path).handle(asked) for _ in range(2))
    assert isinstance(first, Update)
    assert isinstance(again, Update)
    assert first.sums.keys() == again.sums.keys()
    assert all(torch.equal(first.sums[n], again.sums[n]) for n in first.sums)


def test_nothing_of_a_lesion_leaves(tmp_path: Path) -> None:
    here = site(tmp_path)
    answers = [here.handle(with_submodels(task(kind, ("disease/HCC", "fusion/D")))) for kind in WORK]
    keys = {s.key for s in here.samples} | {s.patient for s in here.samples}
    for answer in answers:
        assert isinstance(answer, Update)
        assert not any(key in name for name in answer.sums for key in keys)


@pytest.mark.parametrize(
    ("changes", "code", "text"),
    [
        ({"processing": "p2"}, "processing", "index again"),
        ({"inputs": {"protocol": torch.tensor(1)}}, "plan", "tensors of the task's nets"),
        ({"inputs": {"figures": torch.tensor(float("nan"))}}, "plan", "finite numbers"),
        ({"cohorts": ("external_test_a",)}, "no_lesions", "lesions in the cohorts"),
    ],
)
def test_hello_refuses_what_differs(changes: dict, code: str, text: str, tmp_path: Path) -> None:
    answer = refused(site(tmp_path).handle(changed(task("hello", processing="p1"), **changes)))
    assert answer.code == code
    assert text in answer.reason


@pytest.mark.parametrize(
    ("policy", "rule", "text"),
    [
        (open_policy(kinds=("hello",)), LocalRule(), "kinds are hello, not train"),
        (open_policy(caps=Caps(max_epochs=2)), LocalRule(epochs=3), "caps.max_epochs is 2, the task's epochs is 3"),
        (open_policy(caps=Caps(max_learning_rate=0.01)), LocalRule(), "max_learning_rate is 0.01"),
    ],
)
def test_policy_is_the_hospitals(policy: Policy, rule: LocalRule, text: str, tmp_path: Path) -> None:
    asked = task("train", ("disease/HCC",), rule=rule)
    answer = refused(site(tmp_path, policy).handle(asked))
    assert answer.code == "policy"
    assert text in answer.reason
    assert isinstance(site(tmp_path).handle(asked), Update)


def test_a_cohort_below_the_minimum_is_not_spoken_of(tmp_path: Path) -> None:
    samples = [*lesions(6), *lesions(2, "validation", first=10)]
    answer = site(tmp_path, open_policy(minimum_lesions=3), samples=samples).handle(task("hello"))
    assert isinstance(answer, Update)
    assert set(answer.sums) == {"training_a|lesions", "training_a|patients"}
    strict = refused(site(tmp_path, open_policy(minimum_lesions=7), samples=samples).handle(task("hello")))
    assert strict.code == "no_lesions"


def test_frozen_submodels_are_asked_for(tmp_path: Path) -> None:
    asked = with_submodels(task("train", ("fusion/D",)))
    bare = changed(asked, inputs={n: t for n, t in asked.inputs.items() if n.startswith("fusion")})
    assert refused(site(tmp_path).handle(bare)).code == "needs_frozen"
    sent = site(tmp_path).handle(asked)
    later = site(tmp_path).handle(bare)
    assert isinstance(sent, Update)
    assert isinstance(later, Update)
    assert all(torch.equal(sent.sums[n], later.sums[n]) for n in sent.sums)


def test_an_unexpected_error_tells_its_type_and_no_value(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise OSError("/data/SMITH_JOHN.dcm cannot be read")

    monkeypatch.setattr("client.worker.site.site.WORK", {**WORK, "hello": broken})
    told: list[str] = []
    answer = refused(site(tmp_path, on_fault=told.append).handle(task("hello")))
    assert answer.code == "error"
    assert answer.reason == UNANSWERED
    assert "OSError" in told[0]
    assert "SMITH" not in answer.reason + told[0]
    assert "test_site.py" in told[0]


def test_a_net_of_another_shape_is_refused(tmp_path: Path) -> None:
    asked = task("train", ("disease/HCC",))
    cut = changed(asked, inputs=dict(list(asked.inputs.items())[1:]))
    assert refused(site(tmp_path).handle(cut)).code == "plan"
