"""The privacy ledger: costs add up over rounds, stages, studies and restarts, and never less than was released."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest
from made_charges import DELTA, LEVELS, NETS, RULE, charge, cost, plan_of
from toy_lesions import task

from ceus_models.plan.plan import load_plan
from ceus_models.protocol.message_ids import ReceivedTask
from ceus_models.protocol.messages import PrivateRule
from ceus_models.protocol.privacy.accountant import compose, compute_epsilon, noise_for
from client.policy.policy import TaskDeclined
from client.policy.privacy_levels import LEVELS as LADDER
from client.policy.privacy_levels import PrivacyLevels
from client.worker.audit.log import AuditError
from client.worker.privacy.budget import (
    BudgetLedger,
    Charge,
    compute_worst,
    find_cost,
    list_planned_costs,
)


def test_epsilon_is_that_of_the_accountant_for_the_same_rounds() -> None:
    assert compute_worst([cost(n) for n in range(50)], DELTA)[1] == pytest.approx(
        compute_epsilon(compose([20.0] * 50), DELTA)
    )
    z = noise_for(3.0, DELTA, rounds=50)
    assert compute_worst([cost(n, z=z) for n in range(50)], DELTA)[1] == pytest.approx(3.0, abs=1e-6)


def test_the_noise_of_sites_that_may_collude_does_not_count() -> None:
    received = ReceivedTask(task("train", NETS, rule=RULE, level="distributed"))
    found = find_cost(received, colluding=2)
    assert found is not None
    assert found.rate == pytest.approx(2 / 20**2 * 12 / 10)
    assert found.own_rate == pytest.approx(2 / 20**2 * 12)
    with pytest.raises(TaskDeclined, match="more than the 12 sites that may collude"):
        find_cost(received, colluding=12)
    local = replace(RULE, private=PrivateRule(1.0, 20.0))
    alone = find_cost(ReceivedTask(task("train", ("disease/HCC",), rule=local, level="local")), colluding=2)
    assert alone is not None
    assert alone.rate == alone.own_rate == pytest.approx(20**-2)
    assert find_cost(ReceivedTask(task("train", ("disease/HCC",))), colluding=2) is None


def test_a_patient_of_a_cohort_may_be_in_the_late_one_too() -> None:
    early, late, other = cost(1), cost(2, cohort="external_test_c"), cost(3, cohort="training_b")
    both = compute_worst([early, late], DELTA)
    assert both == ("training_a", compute_epsilon(compose([20.0, 20.0]), DELTA))
    assert compute_worst([early, other], DELTA)[1] == compute_epsilon(20.0, DELTA)
    assert compute_worst([], DELTA)[1] == 0


def spend_all(records: Path, levels: PrivacyLevels, study: str) -> tuple[int, TaskDeclined]:
    """Charge rounds, each by another process, until one is refused: how many there were, and the refusal."""
    number = 0
    while True:
        ledger = BudgetLedger(records)
        try:
            ledger.check(cost(number, study), levels)
        except TaskDeclined as no:
            return number, no
        charge(ledger, cost(number, study))
        number += 1


def test_the_cap_of_a_study_and_that_of_a_life(tmp_path: Path) -> None:
    levels = replace(LEVELS, epsilon=1.0, lifetime_epsilon=1.3)
    number, no = spend_all(tmp_path, levels, "a")
    assert (no.code, no.reason[-12:]) == ("budget", "epsilon is 1")
    assert "this round would bring training_a to ε 1.0" in no.reason
    within, beyond = (compute_epsilon(compose([20.0] * n), DELTA) for n in (number, number + 1))
    assert within <= 1 < beyond
    BudgetLedger(tmp_path).check(cost(0), levels)  # what was answered may be asked again
    more, no = spend_all(tmp_path, levels, "b")
    assert "lifetime_epsilon is 1.3" in no.reason
    assert compute_epsilon(compose([20.0] * (number + more)), DELTA) <= 1.3


def test_a_question_is_charged_once_and_another_payload_is_refused(tmp_path: Path) -> None:
    ledger = BudgetLedger(tmp_path)
    for _ in range(3):
        charge(ledger, cost(1))
        charge(BudgetLedger(tmp_path), cost(1))
    assert len(BudgetLedger(tmp_path).charges()) == 1
    with pytest.raises(TaskDeclined, match="new attempt"):
        ledger.charge(Charge(cost(1), "other numbers"))
    assert len(BudgetLedger(tmp_path).charges()) == 1


def test_a_plan_beyond_the_cap_is_refused_before_its_first_round(tmp_path: Path) -> None:
    ledger = BudgetLedger(tmp_path)
    costs = list(list_planned_costs(plan_of(10), 2))
    assert len(costs) == 10
    spends = compute_worst(costs, DELTA)[1]
    ledger.check_plan(plan_of(10), replace(LEVELS, epsilon=spends + 0.01))
    with pytest.raises(TaskDeclined, match=rf"the plan would bring training_a to ε {spends:.3g}"):
        ledger.check_plan(plan_of(10), replace(LEVELS, epsilon=spends - 0.01))
    charge(ledger, *(replace(one, study="b") for one in costs))
    with pytest.raises(TaskDeclined, match="lifetime_epsilon"):
        ledger.check_plan(plan_of(10), replace(LEVELS, epsilon=spends + 0.01, lifetime_epsilon=spends + 0.02))
    charge(ledger, *(replace(one, study=plan_of(10).digest()) for one in costs[:5]))
    ledger.check_plan(plan_of(10), replace(LEVELS, epsilon=spends + 0.01))  # its own rounds are not counted twice


def test_a_ledger_that_was_changed_stops_private_answers(tmp_path: Path) -> None:
    charge(BudgetLedger(tmp_path), *(cost(n) for n in range(4)))
    path = tmp_path / "budget.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    for damage in (b"".join(lines[:2]), b"".join(lines).replace(b'"rate":0.0025', b'"rate":0.0001'), b""):
        path.write_bytes(damage)
        ledger = BudgetLedger(tmp_path)
        with pytest.raises(AuditError, match="privacy ledger"):
            ledger.charges()


def test_a_torn_line_costs_nothing_and_hides_nothing(tmp_path: Path) -> None:
    chance = random.Random(1)
    for number in range(20):
        charge(BudgetLedger(tmp_path), cost(number))
        with (tmp_path / "budget.jsonl").open("ab") as file:
            file.write(b'{"kind":"spent","n":'[: chance.randrange(1, 20)])
    assert len(BudgetLedger(tmp_path).charges()) == 20


def test_the_policy_that_comes_with_a_site_admits_the_private_plan_and_no_more() -> None:
    plan = load_plan(Path(__file__).parents[4] / "configs" / "plan.private.yaml")
    BudgetLedger().check_plan(plan, LEVELS)
    assert compute_worst(list_planned_costs(plan, LEVELS.colluding), DELTA)[1] > 2.9
    for stage in plan.stages[1:]:
        kind = {"train": "train", "evaluate": "evaluate"}[stage.stage]
        assert LADDER.index(stage.level) >= LADDER.index(LEVELS.find_level(kind))
