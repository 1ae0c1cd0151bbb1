"""What a plan spent stands in the results: levels by stage, ε by cohort."""

from __future__ import annotations

from pathlib import Path

import pytest

from ceus_models.plan.plan import load_plan
from ceus_models.plan.words.privacy_cost import compute_costs
from server.results.privacy_spent import summarize_privacy

CONFIGS = Path(__file__).parents[3] / "configs"


def test_a_plan_without_noise_promises_nothing() -> None:
    found = summarize_privacy(load_plan(CONFIGS / "plan.demo.yaml"))
    assert (found["mechanism"], found["epsilon"], found["cohorts"]) == ("none", None, {})
    assert set(found["levels"].values()) == {"none"}


def test_the_private_plan_states_its_cost() -> None:
    plan = load_plan(CONFIGS / "plan.private.yaml")
    found = summarize_privacy(plan)
    assert found["mechanism"] == "patient-level noise"
    assert found["levels"]["submodels"] == "distributed"
    assert found["epsilon"] == pytest.approx(max(cost.honest for cost in compute_costs(plan)))
    assert all(2.5 < one["epsilon"] < 3 < one["own_epsilon"] for one in found["cohorts"].values())
