"""The ledger for people: ε by study, what remains, words, a picture, and the rounds that a backup forgot."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from made_charges import DELTA, LEVELS, charge, cost, plan_of

from ceus_models.protocol.privacy.accountant import compose, compute_epsilon
from client.worker.privacy.budget import BudgetLedger, list_planned_costs
from client.worker.privacy.spending import charge_restored, describe_certainty, summarize_spending
from client.worker.privacy.spending_picture import draw_spending


def test_studies_are_summed_up_one_by_one_and_together(tmp_path: Path) -> None:
    ledger = BudgetLedger(tmp_path)
    charge(ledger, *(cost(n) for n in range(10)), *(cost(n, "b") for n in range(5)))
    (first, second), lifetime = summarize_spending(ledger.charges(), LEVELS)
    assert (first.study, first.cohort, first.rounds, first.cap) == ("a", "training_a", 10, 3.0)
    assert first.epsilon == pytest.approx(compute_epsilon(compose([20.0] * 10), DELTA))
    assert first.own_epsilon == pytest.approx(compute_epsilon(compose([20.0] * 120), DELTA))
    assert second.rounds == 5
    assert lifetime == pytest.approx(compute_epsilon(compose([20.0] * 15), DELTA))
    assert first.rounds_left is not None
    within, beyond = (compute_epsilon(compose([20.0] * (10 + first.rounds_left + n)), DELTA) for n in (0, 1))
    assert within <= 3.0 < beyond
    assert summarize_spending((), LEVELS) == ([], 0.0)


@pytest.mark.parametrize(("epsilon", "sure"), [(0.0, "50.0 %"), (1.0, "73.1 %"), (3.0, "95.3 %")])
def test_an_epsilon_is_said_as_a_certainty(epsilon: float, sure: str) -> None:
    assert sure in describe_certainty(epsilon)


def test_a_restored_ledger_is_charged_what_it_may_have_lost(tmp_path: Path) -> None:
    plan = plan_of(10)
    planned = list(list_planned_costs(plan, LEVELS.colluding))
    ledger = BudgetLedger(tmp_path)
    charge(ledger, *(replace(one, event=f"question {n}") for n, one in enumerate(planned[:4])))
    assert charge_restored(ledger, plan, LEVELS, 7) == 3
    (row,), _ = summarize_spending(BudgetLedger(tmp_path).charges(), LEVELS)
    whole = compute_epsilon(compose([one.rate**-0.5 for one in planned[:7]]), DELTA)
    assert row.epsilon == pytest.approx(whole)
    assert charge_restored(BudgetLedger(tmp_path), plan, LEVELS, 7) == 0
    assert charge_restored(BudgetLedger(tmp_path), plan, LEVELS, None) == 3


def test_the_picture_is_a_png_with_a_bar_a_study(tmp_path: Path) -> None:
    ledger = BudgetLedger(tmp_path)
    charge(ledger, *(cost(n) for n in range(10)))
    rows, lifetime = summarize_spending(ledger.charges(), LEVELS)
    one, two = (draw_spending(rows * n, {"a": "liver-2026"}, lifetime, 6.0) for n in (1, 2))
    assert one.startswith(b"\x89PNG")
    assert len(two) > len(one)
