"""The policy as sentences: every setting is in one, and a changed setting changes one."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pytest

from client.policy.hours import Hours
from client.policy.machine import Machine
from client.policy.policy import Caps, Policy
from client.policy.policy_text import describe_policy
from tests.support.open_policy import OPEN_LEVELS, open_policy

CHANGES: list[dict[str, Any]] = [
    {"studies": {"ours": "a" * 64}},
    {"studies": "approved"},
    {"kinds": ("hello",)},
    {"nets": ("disease/HCC",)},
    {"minimum_lesions": 7},
    {"minimum_cell": 7},
    {"max_replicates": 7},
    {"rounds_per_day": 7},
    {"hours": Hours("19:00", "06:00", "Europe/Berlin")},
    {"privacy": replace(OPEN_LEVELS, training="local")},
    {"privacy": replace(OPEN_LEVELS, bound_to_plan=True)},
    {"privacy": replace(OPEN_LEVELS, epsilon=1.0)},
    {"privacy": replace(OPEN_LEVELS, minimum_sites=7)},
    {"accept_risk": "Another reason, as long as it has to be."},
    {"machine": Machine(threads=7)},
    {"machine": Machine(gpus=(1,))},
    {"machine": Machine(memory_share=0.7)},
    *(
        {"caps": Caps(**cap)}  # type: ignore[arg-type]
        for cap in (
            {"max_epochs": 7}, {"min_batch_size": 7}, {"max_batch_size": 7}, {"max_learning_rate": 0.7},
            {"max_momentum": 0.7}, {"max_weight_decay": 0.7}, {"max_proximal_mu": 0.7}, {"max_clip": 0.7},
            {"clip_required": True}, {"optimizers": ("sgd",)}, {"precisions": ("float32",)},
        )
    ),
]  # fmt: skip


def test_every_setting_is_changed_here() -> None:
    assert {name for changed in CHANGES for name in changed} == {field.name for field in fields(Policy)} - {"schema"}


@pytest.mark.parametrize("changed", CHANGES, ids=str)
def test_every_setting_is_said(changed: dict[str, Any]) -> None:
    plain, other = (dict(describe_policy(open_policy(**given))) for given in ({}, changed))
    told = {what for what in plain if plain[what] != other[what]} - {"Accepted risks"}
    assert len(told) == 1 or changed.keys() == {"accept_risk"}
    assert dict(describe_policy(Policy({})))["Accepted risks"] == "none"
