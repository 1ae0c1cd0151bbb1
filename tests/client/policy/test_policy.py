"""What a policy refuses: each rule by name and with what would be allowed."""

from __future__ import annotations

import datetime
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from toy_lesions import task

from ceus_models.plan.plan import load_plan
from ceus_models.plan.train_stage import Train
from ceus_models.protocol.message_ids import ReceivedTask
from ceus_models.protocol.messages import LocalRule
from client.policy.hours import Hours
from client.policy.policy import Caps, Policy, TaskDeclined
from client.policy.privacy_levels import PrivacyLevels
from tests.support.open_policy import OPEN_LEVELS, open_policy

PLAN = "a" * 64
NOON = datetime.datetime(2026, 11, 20, 12, 0, tzinfo=datetime.UTC)


def refusal(policy: Policy, kind: str = "train", **changes: Any) -> str | None:
    return policy.find_refusal(replace(task(kind, ("disease/HCC",)), **changes), NOON)


def test_a_policy_of_any_study_answers_the_smoke_plan() -> None:
    for kind in ("hello", "tally", "train", "evaluate"):
        assert refusal(open_policy(), kind) is None


@pytest.mark.parametrize(
    ("caps", "rule", "told"),
    [
        ({"max_epochs": 2}, {"epochs": 3}, "caps.max_epochs is 2, the task's epochs is 3"),
        ({"max_batch_size": 16}, {"batch_size": 17}, "caps.max_batch_size is 16"),
        ({"min_batch_size": 4}, {"batch_size": 3}, "caps.min_batch_size is 4"),
        ({"max_learning_rate": 0.1}, {"learning_rate": 0.2}, "caps.max_learning_rate is 0.1"),
        ({"max_momentum": 0.5}, {"momentum": 0.9}, "caps.max_momentum is 0.5"),
        ({"max_weight_decay": 0.0}, {"weight_decay": 0.1}, "caps.max_weight_decay is 0"),
        ({"max_proximal_mu": 1.0}, {"proximal_mu": 2.0}, "caps.max_proximal_mu is 1"),
        ({"max_clip": 1.0}, {"clip": 2.0}, "caps.max_clip is 1"),
        ({"clip_required": True}, {}, "caps.clip_required is true"),
        ({"optimizers": ("sgd",)}, {"optimizer": "adamw"}, "caps.optimizers are sgd"),
        ({"precisions": ("float32",)}, {"precision": "bfloat16"}, "caps.precisions are float32"),
    ],
)
def test_every_number_of_a_rule_has_a_cap(caps: dict[str, Any], rule: dict[str, Any], told: str) -> None:
    policy = open_policy(caps=Caps(**caps))
    reason = refusal(policy, rule=LocalRule(**rule))
    assert reason is not None
    assert told in reason
    allowed = {**rule, "clip": 1.0, "momentum": 0.1} if "clip" not in rule else {"momentum": 0.1}
    within = LocalRule(**{**allowed, **{name: caps_value(caps, name) for name in rule}})
    assert refusal(policy, rule=within) is None, "the bound itself is allowed"


def caps_value(caps: dict[str, Any], name: str) -> Any:
    found = next(value for cap, value in caps.items() if name in cap)
    return found[0] if isinstance(found, tuple) else found


def test_caps_name_every_number_of_a_local_rule() -> None:
    """A number that a LocalRule gains later must get a cap here; whether pictures are changed is no number."""
    capped = " ".join(Caps.__dataclass_fields__)
    named = {"optimizer": "optimizers", "precision": "precisions"}
    numbers = LocalRule.__dataclass_fields__.keys() - {"augment", "trains", "private"}
    assert all(named.get(name, f"max_{name}") in capped for name in numbers)


COUNTS_SUMMED = open_policy(privacy=replace(OPEN_LEVELS, evaluation="sums"))


@pytest.mark.parametrize(
    ("policy", "changes", "told"),
    [
        (Policy({"ours": PLAN}), {"study": "b" * 64}, "studies does not name the plan bbbbbbbbbbbbbbbb…"),
        (open_policy(kinds=("hello", "tally")), {}, "kinds are hello, tally, not train"),
        (open_policy(nets=("disease/HM",)), {}, "nets are disease/HM, the task asks for disease/HCC"),
        (open_policy(), {"nets": ("disease/XX",)}, "the task asks for disease/XX"),
        (open_policy(), {"nets": ("disease/HCC", "disease/HCC")}, "nets stand once"),
        (open_policy(), {"cohorts": ("everyone",)}, "the task asks for everyone"),
        (open_policy(max_replicates=10), {"kind": "evaluate", "replicates": 11}, "max_replicates is 10"),
        (open_policy(max_replicates=0), {"kind": "evaluate", "replicates": 1}, "max_replicates is 0"),
        (Policy({"ours": PLAN}), {"study": PLAN}, "level distributed or stronger for train, the task has level none"),
        (COUNTS_SUMMED, {"kind": "evaluate"}, "privacy wants level sums or stronger for evaluate"),
        (open_policy(hours=Hours("18:00", "07:00", "UTC")), {}, "hours are 18:00 to 07:00 UTC, every day"),
    ],
)
def test_each_rule_refuses_by_name(policy: Policy, changes: dict[str, Any], told: str) -> None:
    reason = refusal(policy, **changes)
    assert reason is not None
    assert reason.startswith("the site's policy refuses: ")
    assert told in reason


def test_all_reasons_come_at_once() -> None:
    policy = Policy({"ours": PLAN}, kinds=("hello",), caps=Caps(max_epochs=1))
    reason = refusal(policy, rule=LocalRule(epochs=9))
    assert reason is not None
    assert all(part in reason for part in ("studies", "kinds", "max_epochs"))


def test_a_study_of_the_policy_is_answered_at_the_level_that_it_wants() -> None:
    assert refusal(Policy({"ours": PLAN}), study=PLAN, level="distributed") is None
    assert refusal(Policy({"ours": PLAN}), "tally", study=PLAN, level="sums") is None
    with pytest.raises(TaskDeclined, match="not hello"):
        open_policy(kinds=("tally",)).admit(ReceivedTask(task("hello")))


@pytest.mark.parametrize("studies", [None, {"x": "abc"}, "all", [PLAN], 3])
def test_what_is_allowed_is_always_said(studies: Any) -> None:
    with pytest.raises(ValidationError):
        Policy(studies)


@pytest.mark.parametrize("name", ["smoke", "demo", "paper"])
def test_our_own_plans_stay_within_the_policy_that_init_writes(name: str) -> None:
    plan = load_plan(Path(__file__).parents[3] / "configs" / f"plan.{name}.yaml")
    for stage in plan.stages:
        rule = stage.strategy.local(stage.rule) if isinstance(stage, Train) else None
        asked = replace(task("train"), rule=rule, replicates=getattr(stage, "paired_replicates", 0))
        assert open_policy().find_refusal(asked, NOON) is None


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"studies": "any"}, "studies"),
        ({"privacy": PrivacyLevels(training="sums")}, "privacy.training"),
        ({"privacy": PrivacyLevels(statistics="none")}, "privacy.statistics"),
        ({"privacy": PrivacyLevels(evaluation="none")}, "privacy.evaluation"),
        ({"privacy": PrivacyLevels(bound_to_plan=False)}, "privacy.bound_to_plan"),
        ({"privacy": PrivacyLevels(epsilon=3.1)}, "privacy.epsilon"),
        ({"privacy": PrivacyLevels(lifetime_epsilon=6.1)}, "privacy.lifetime_epsilon"),
        ({"privacy": PrivacyLevels(delta=1e-4)}, "privacy.delta"),
        ({"privacy": PrivacyLevels(colluding=1)}, "privacy.colluding"),
        ({"privacy": PrivacyLevels(minimum_sites=7)}, "privacy.minimum_sites"),
        ({"minimum_lesions": 9}, "minimum_lesions"),
        ({"minimum_cell": 4}, "minimum_cell"),
        ({"max_replicates": 1}, "max_replicates"),
    ],
)
def test_less_than_the_safe_settings_needs_a_reason_in_words(changes: dict[str, Any], named: str) -> None:
    safe: dict[str, Any] = {"studies": {"ours": PLAN}}
    assert list(Policy(**safe).list_risks()) == []
    for reason in ("", "because"):
        with pytest.raises(ValidationError, match=named):
            Policy(**{**safe, **changes, "accept_risk": reason})
    loose = Policy(**{**safe, **changes, "accept_risk": "The data protection officer decided so."})
    assert [name for name, _ in loose.list_risks()] == [named]


def test_what_is_approved_here_is_answered_and_nothing_else() -> None:
    policy = Policy("approved")
    asked = replace(task("tally", ("disease/HCC",)), study=PLAN, level="sums")
    assert "is not approved here" in (policy.find_refusal(asked, NOON) or "")
    assert "is not approved here" in (policy.find_refusal(asked, NOON, ["b" * 64]) or "")
    assert policy.find_refusal(asked, NOON, ["b" * 64, PLAN]) is None
    assert list(policy.list_risks()) == []


def test_a_list_of_no_studies_answers_nothing() -> None:
    assert "studies does not name" in (refusal(Policy({}), "hello") or "")
