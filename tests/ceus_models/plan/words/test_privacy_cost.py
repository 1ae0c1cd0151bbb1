"""What a plan costs a patient, against opacus' accountant on the plan's own steps."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path

import pytest
from opacus.accountants import RDPAccountant

from ceus_models.plan.plan import Plan, load_plan
from ceus_models.plan.words.privacy_cost import compute_costs
from ceus_models.protocol.privacy.accountant import ORDERS

PLAN = load_plan(Path(__file__).parents[4] / "configs" / "plan.private.yaml")


def by_opacus(steps: list[tuple[float, int]]) -> float:
    accountant = RDPAccountant()
    for noise, count in steps:
        for _ in range(count):
            accountant.step(noise_multiplier=noise, sample_rate=1.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return float(accountant.get_epsilon(delta=1e-5, alphas=list(ORDERS)))


def with_rule(plan: Plan, stage: int, **changes: object) -> Plan:
    changed = replace(plan.stages[stage], **changes)
    return replace(plan, stages=(*plan.stages[:stage], changed, *plan.stages[stage + 1 :]))


def test_cohorts_are_other_patients_and_nets_rounds_and_stages_compose() -> None:
    heads, fusion = PLAN.stages[1], PLAN.stages[2]
    z, own = heads.rule.private.noise, fusion.rule.private.noise
    a, b = compute_costs(PLAN)
    assert (a.cohort, b.cohort) == ("training_a", "training_b")
    assert a.total == pytest.approx(by_opacus([(z, 9 * heads.rounds)]), rel=1e-9)
    assert b.total == pytest.approx(by_opacus([(own, fusion.rounds)]), rel=1e-9)
    sites = heads.rule.private.sites
    assert a.own == pytest.approx(by_opacus([(z / sites**0.5, 9 * heads.rounds)]), rel=1e-9)
    assert a.honest == pytest.approx(by_opacus([(z * (1 - 2 / sites) ** 0.5, 9 * heads.rounds)]), rel=1e-9)
    together = compute_costs(with_rule(PLAN, 2, cohorts=("training_a",)))
    assert [cost.cohort for cost in together] == ["training_a"]
    assert together[0].total == pytest.approx(by_opacus([(z, 9 * heads.rounds), (own, fusion.rounds)]), rel=1e-9)


def test_a_trunk_is_one_net_of_nine_heads() -> None:
    shared = replace(PLAN, sharing="trunk")
    heads = PLAN.stages[1]
    cost, _ = compute_costs(shared)
    assert cost.total == pytest.approx(by_opacus([(heads.rule.private.noise, heads.rounds)]), rel=1e-9)
    assert cost.total < compute_costs(PLAN)[0].total / 2


def test_the_demos_private_plan_promises_an_epsilon_of_three() -> None:
    assert all(cost.total < cost.honest < cost.own for cost in compute_costs(PLAN))
    assert all(2.9 < cost.honest <= 3.0 for cost in compute_costs(PLAN))


def test_a_plan_without_private_stages_costs_nothing_that_can_be_counted() -> None:
    assert compute_costs(load_plan(Path(__file__).parents[4] / "configs" / "plan.demo.yaml")) == []
