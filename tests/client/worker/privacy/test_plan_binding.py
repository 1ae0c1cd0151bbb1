"""A coordinator that sends anything but what the plan asks is refused, before a lesion is looked at."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from toy_lesions import TINY, lesions, recipe

from ceus_models.nets.module_cache import build_initial_state
from ceus_models.plan.plan import Plan
from ceus_models.plan.progress import Progress
from ceus_models.plan.rounds.any_stage import find_rounds
from ceus_models.plan.stages import Evaluate, Hello, Statistics
from ceus_models.plan.train_stage import Train, Validation
from ceus_models.protocol.messages import LocalRule, Normaliser, PrivateRule, Refusal, Task, Update
from ceus_models.study.taxonomy import CLINICAL
from client.policy.policy import Policy
from client.worker.audit.log import entries
from client.worker.site.site import Site
from tests.support.open_policy import OPEN_LEVELS, open_policy

NET = "disease/HCC"
PLAN = Plan(
    "bound",
    (
        Hello("hello"),
        Statistics("statistics"),
        Train("train", "training", (NET,), ("training_a",), 2, validate=Validation(("training_a",), 1)),
        Evaluate("evaluate", "test", (NET,), ("training_a",)),
    ),
    architecture=TINY,
    fusion_hidden=5,
)
SANE = Normaliser(0.4, 0.2, 1.5, (0.0,) * len(CLINICAL), (1.0,) * len(CLINICAL))
RECIPE = replace(recipe(), normaliser=SANE, class_weights={NET: (0.6, 2.0)})
STUDY = PLAN.study(7)
BOUND = open_policy(privacy=replace(OPEN_LEVELS, bound_to_plan=True))


def task_of(index: int, step: int = 0) -> Task:
    """The task of a stage's step, as the coordinator makes it."""
    stage = PLAN.stages[index]
    at = Progress(stage=index, step=step, recipe=RECIPE if index > 1 else None)
    if isinstance(stage, Train) and not step:
        at = find_rounds(stage).prepare(at, STUDY)
    else:
        at = replace(at, nets={NET: build_initial_state(NET, RECIPE, 7)})
    return find_rounds(stage).task(at, STUDY)


HELLO, TALLY, TRAIN, VALIDATE, TEST = task_of(0), task_of(1), task_of(2), task_of(2, 1), task_of(3)


def site(folder: Path, policy: Policy = BOUND) -> Site:
    return Site("site-01", lesions(8), PLAN.processing.digest(), policy, folder / "memory", records=folder / "records")


def moved(task: Task, by: float) -> Task:
    return replace(task, inputs={name: tensor + by for name, tensor in task.inputs.items()})


def weighed(weights: tuple[float, ...]) -> Task:
    return replace(TRAIN, recipe=replace(RECIPE, class_weights={NET: weights}))


def normalised(**changes: object) -> Task:
    return replace(TRAIN, recipe=replace(RECIPE, normaliser=replace(SANE, **changes)))


def test_the_plan_is_answered_from_hello_to_the_test(tmp_path: Path) -> None:
    here = site(tmp_path)
    for task in (HELLO, TALLY, TRAIN, VALIDATE, moved(task_of(2, 2), 0.1), task_of(2, 3), TEST):
        answer = here.handle(task)
        assert isinstance(answer, Update), answer
        assert site(tmp_path).handle(task).sums.keys() == answer.sums.keys()  # another process: the same question


def means_near(end: str, off: float) -> tuple[float, ...]:
    """Means of lesions that all have the least or the most of each variable, off by a share of its range."""
    ends = [(v.apply_transform(v.low), v.apply_transform(v.high)) for v in CLINICAL]
    return tuple(low - off * (high - low) if end == "low" else high + off * (high - low) for low, high in ends)


@pytest.mark.parametrize("end", ["low", "high"])
def test_a_mean_of_equal_values_at_the_end_of_a_range_is_taken(end: str, tmp_path: Path) -> None:
    here = site(tmp_path)
    here.handle(HELLO)
    rounded = here.handle(normalised(clinical_mean=means_near(end, 1e-6), clinical_sd=(0.5,) * len(CLINICAL)))
    assert isinstance(rounded, Update), rounded
    other = site(tmp_path / "other")
    other.handle(HELLO)
    beyond = other.handle(normalised(clinical_mean=means_near(end, 1e-3), clinical_sd=(0.5,) * len(CLINICAL)))
    assert isinstance(beyond, Refusal)
    assert "within its plausible range" in beyond.reason


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda t: replace(t, study="a" * 64), "does not hold the study's plan"),
        (lambda t: replace(t, seed=8), "the seed"),
        (lambda t: replace(t, stage="other"), "asks no train"),
        (lambda t: replace(t, round=3), "asks no train in round 3"),
        (lambda t: replace(t, round=0), "asks no train in round 0"),
        (lambda t: replace(t, kind="evaluate", rule=None, cohorts=()), "plan's cohorts"),
        (lambda t: replace(t, cohorts=("training_a", "validation")), "plan's cohorts"),
        (lambda t: replace(t, rule=LocalRule(learning_rate=0.5)), "plan's rule"),
        (lambda t: replace(t, rule=LocalRule(momentum=0.0, private=PrivateRule(1.0, 1e-9))), "plan's rule"),
        (lambda t: replace(t, level="sums"), "plan's level"),
        (lambda t: replace(t, attempt=1), "attempt 0"),
        (lambda t: replace(t, frozen="f" * 64), "plan's frozen"),
        (lambda t: replace(t, inputs={**t.inputs, "figures": torch.ones(1)}), "plan's tensors"),
        (lambda t: replace(t, inputs={**t.inputs, "fusion/D|out.bias": torch.ones(6)}), "task's nets"),
        (lambda t: moved(t, 0.01), "initial weights"),
        (lambda t: moved(t, float("nan")), "finite"),
        (lambda t: replace(t, recipe=replace(RECIPE, architecture=replace(TINY, hidden=8))), "tensors of disease/HCC"),
        (lambda t: replace(t, recipe=replace(RECIPE, fusion_hidden=16384)), "fusion_hidden"),
        (lambda t: replace(t, recipe=replace(RECIPE, selected=("age", "age"))), "variable once"),
        (
            lambda t: replace(t, recipe=replace(RECIPE, normaliser=replace(SANE, clinical_sd=(1e-9,) * len(CLINICAL)))),
            "ALB within its plausible range",
        ),
        (lambda t: normalised(level_sd=0.0), "normaliser"),
        (lambda t: weighed((1e-10, 1.0)), "class weights"),
        (lambda t: weighed((0.0, 1.0)), "above 0"),
        (lambda t: weighed((1.0, 11.0)), "class weights"),
    ],
)
def test_what_the_plan_does_not_ask_is_refused(change: Callable[[Task], Task], told: str, tmp_path: Path) -> None:
    here = site(tmp_path)
    here.handle(HELLO)
    answer = here.handle(change(TRAIN))
    assert isinstance(answer, Refusal)
    assert told in answer.reason
    assert answer.code == "plan"
    assert isinstance(here.handle(TRAIN), Update)  # a refused question settles nothing


def test_a_stage_is_over_when_a_later_one_began(tmp_path: Path) -> None:
    here = site(tmp_path)
    for task in (HELLO, TRAIN, TEST):
        assert isinstance(here.handle(task), Update)
    assert "was over" in here.handle(VALIDATE).reason
    assert isinstance(here.handle(TRAIN), Update)  # asked before
    assert isinstance(here.handle(HELLO), Update)


def test_a_round_is_asked_once_whoever_restarts(tmp_path: Path) -> None:
    first, second = task_of(2, 2), moved(task_of(2, 2), 1e-6)
    here = site(tmp_path)
    here.handle(HELLO)
    assert isinstance(here.handle(first), Update)
    for asked in (here, site(tmp_path)):
        answer = asked.handle(second)
        assert isinstance(answer, Refusal)
        assert "asked before with other contents" in answer.reason
        assert isinstance(asked.handle(first), Update)


def test_a_round_that_failed_on_a_lesion_is_spent_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = site(tmp_path)
    here.handle(HELLO)

    def fail(*_: object) -> None:
        raise ValueError("AFP is 812")

    with monkeypatch.context() as patch:
        patch.setattr("client.worker.site.site.WORK", {"train": fail})
        assert "812" not in here.handle(task_of(2, 2)).reason
    assert "asked before" in here.handle(moved(task_of(2, 2), 1e-6)).reason


def test_one_recipe_holds_for_the_whole_study(tmp_path: Path) -> None:
    here = site(tmp_path)
    here.handle(HELLO)
    here.handle(TRAIN)
    other = replace(task_of(2, 2), recipe=replace(RECIPE, class_weights={NET: (0.6, 2.1)}))
    assert "one recipe" in here.handle(other).reason


def test_a_plan_that_does_not_match_its_digest_is_not_taken(tmp_path: Path) -> None:
    here = site(tmp_path)
    forged = replace(PLAN, name="another")
    assert here.handle(replace(HELLO, plan=forged.canonical())).code == "plan"
    assert here.handle(replace(HELLO, plan="{}")).code == "plan"
    assert here.handle(TRAIN).code == "plan"
    assert not list((tmp_path / "records").glob("plans/*"))


def test_lesions_that_come_after_the_study_began_are_not_in_it(tmp_path: Path) -> None:
    here = site(tmp_path)
    assert here.handle(HELLO).weight == 8
    grown = replace(here, samples=[*here.samples, *lesions(1, first=100)])
    assert grown.handle(TALLY).weight == 8
    fewer = replace(here, samples=here.samples[:-1])  # a patient who withdrew is out at once
    assert fewer.handle(TALLY).weight == 7


def test_the_record_of_a_study_names_no_patient_and_is_chained(tmp_path: Path) -> None:
    here = site(tmp_path)
    here.handle(HELLO)
    here.handle(TRAIN)
    names = [entry["name"] for entry in entries(tmp_path / "records", f"study-{STUDY.digest[:16]}")]
    assert names == ["seed", "asked|0|0|hello|0", "lesions", "recipe", "asked|2|1|train|0"]
    (log,) = (tmp_path / "records").glob("study-*.jsonl")
    log.write_bytes(log.read_bytes().replace(b'"7"', b'"8"'))
    assert site(tmp_path).handle(TRAIN).reason.startswith("this site cannot write its audit")
