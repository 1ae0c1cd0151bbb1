"""Rules on a total: what holds for each site holds for the sum, with hello's totals as bounds."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from ceus_models.plan.answers.secure_layout import BOUND
from ceus_models.plan.terms.settings import Screening
from ceus_models.protocol.messages import LocalRule, Task
from ceus_models.protocol.state import State
from server.rounds.screening import Gate
from server.rounds.total_screening import TotalGate, measure_steps, state_bounds

LESIONS = {"a": {"training_a": 8}, "b": {"training_a": 4, "validation": 3}, "c": {"training_a": 6}}
TASK = Task(
    "train",
    study="plan",
    seed=1,
    stage="stage",
    round=1,
    nets=("x",),
    cohorts=("training_a",),
    inputs={"x|w": torch.tensor([3.0, 4.0]), f"x|{BOUND}": torch.tensor([0.5, 0.1], dtype=torch.float64)},
    rule=LocalRule(batch_size=4),
    level="sums",
)
GATE = TotalGate(TASK, LESIONS)


def total(x: float = 1.0, y: float = 1.0, weight: float = 18.0, loss: float = 9.0) -> State:
    values = {"x|w": [x, y], "x|#weight": weight, "x|#loss": loss}
    return {name: torch.tensor(value, dtype=torch.float64) for name, value in values.items()}


def test_a_plausible_total_passes():
    assert GATE.find_fault(total(), ("a", "b", "c")) is None


@pytest.mark.parametrize(
    ("found", "sites", "why"),
    [
        (total(weight=19), ("a", "b", "c"), "at most 18"),
        (total(weight=18), ("a", "b"), "at most 12"),
        (total(weight=0), ("a", "b", "c"), "above 0"),
        (total(weight=-1), ("a", "b", "c"), "above 0"),
        (total(loss=-1), ("a", "b", "c"), "loss of x"),
        (total(loss=1e9), ("a", "b", "c"), "loss of x"),
        (total(x=18 * 1.01), ("a", "b", "c"), "change of x"),
    ],
)
def test_a_total_beyond_its_bounds(found, sites, why):
    """The largest site has 8 lesions: 2 steps of 0.5 allow a mean change of 1."""
    assert why in str(GATE.find_fault(found, sites))


def test_the_bound_allows_for_rounding():
    assert GATE.find_fault(total(x=18.0, y=0.0), ("a", "b", "c")) is None


def test_counts_are_held_against_the_sum_of_lesions():
    tally = replace(TASK, kind="tally", nets=(), inputs={}, rule=None)
    sums = {"training_a|patients": torch.tensor(18), "validation|patients": torch.tensor(3)}
    assert TotalGate(tally, LESIONS).find_fault(sums, ("a", "b", "c")) is None
    assert "0 to 10" in str(TotalGate(tally, LESIONS).find_fault(sums, ("b", "c")))


def test_noised_totals_have_no_linear_rules_of_training():
    noised = replace(TASK, level="distributed")
    assert TotalGate(noised, LESIONS).find_fault(total(x=1e6), ("a", "b", "c")) is None


def test_bounds_are_stated_from_the_last_total():
    plain = replace(TASK, inputs={"x|w": torch.tensor([3.0, 4.0])})
    first = state_bounds(Gate(plain, Screening(), LESIONS, {}, 3))
    assert first.inputs[f"x|{BOUND}"].tolist() == [0.0, 50.0]
    later = state_bounds(Gate(plain, Screening(factor=20, floor=0.1), LESIONS, {"x": 0.25}, 3))
    assert later.inputs[f"x|{BOUND}"].tolist() == [5.0, 0.5]
    for other in (replace(plain, level="distributed"), replace(plain, kind="evaluate")):
        assert state_bounds(Gate(other, Screening(), LESIONS, {}, 3)) is other


def test_the_next_reference_is_the_mean_change_of_a_step():
    """18 lesions of 3 sites: 6 a site, 2 steps of batches of 4."""
    assert measure_steps(TASK, total(3.0, 4.0), 3) == {"x": pytest.approx(5 / 18 / 2)}
    assert measure_steps(replace(TASK, level="distributed"), total(), 3) == {}
    assert measure_steps(replace(TASK, kind="evaluate"), total(), 3) == {}
