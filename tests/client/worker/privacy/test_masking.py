"""A site screens itself before it masks: norms to the task's bound, finite numbers, numbers that can be added."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from ceus_models.plan.answers.secure_layout import BOUND, list_layout
from ceus_models.protocol.messages import LocalRule, Session, Task
from ceus_models.protocol.privacy.fixed_point import unpack_totals
from ceus_models.protocol.state import State
from client.policy.policy import TaskDeclined
from client.worker.privacy.masking import prepare_payload

TASK = Task(
    "train",
    study="plan",
    seed=1,
    stage="stage",
    round=1,
    nets=("x", "y"),
    cohorts=("training_a",),
    inputs={
        "x|w": torch.zeros(2),
        "y|w": torch.zeros(2),
        f"x|{BOUND}": torch.tensor([0.5, 0.1], dtype=torch.float64),
        f"y|{BOUND}": torch.tensor([0.0, 5.0], dtype=torch.float64),
    },
    rule=LocalRule(epochs=2, batch_size=4),
    level="sums",
    session=Session("0" * 32, ("a", "b", "c"), 2),
)


def change(net: str, x: float, y: float, weight: float = 8.0, loss: float = 1.0) -> State:
    return {
        f"{net}|w": torch.tensor([x, y]),
        f"{net}|#weight": torch.tensor(weight, dtype=torch.float64),
        f"{net}|#loss": torch.tensor(loss, dtype=torch.float64),
    }


def sums_in(task: Task, sums: State) -> State:
    return unpack_totals(prepare_payload(task, sums).vector, list_layout(task))


def test_a_change_is_clipped_to_the_bound_of_its_steps():
    """8 lesions in batches of 4, twice: 4 steps of 0.5 allow a norm of 2 per unit weight."""
    inside = change("x", 9.6, 12.8)  # norm 16 = 8 · 2
    assert torch.equal(sums_in(TASK, inside)["x|w"], inside["x|w"].double().mul(2**30).round() / 2**30)
    beyond = change("x", 96.0, 128.0)
    payload = prepare_payload(TASK, beyond)
    assert payload.norms == {"x": 20.0}
    assert payload.clipped == ("x",)
    found = unpack_totals(payload.vector, list_layout(TASK))
    assert torch.allclose(found["x|w"], torch.tensor([9.6, 12.8], dtype=torch.float64))
    assert float(found["x|#weight"]) == 8.0
    assert int(found["#clipped|x"]) == 1
    assert int(found["#present|x"]) == 1
    assert int(found["#present|y"]) == 0


def test_the_least_bound_holds_for_few_steps():
    assert prepare_payload(TASK, change("y", 3.0, 4.0, weight=1.0)).clipped == ()
    assert prepare_payload(TASK, change("y", 3.0, 4.1, weight=1.0)).clipped == ("y",)


@pytest.mark.parametrize("odd", [torch.nan, torch.inf, -torch.inf, 1e9])
@pytest.mark.parametrize("place", ["loss", "weight", "change"])
def test_numbers_that_cannot_be_added_never_leave(odd, place):
    """The whole net is zeros, as that of a site without such lesions; the other net stays."""
    unbounded = replace(TASK, inputs={name: t for name, t in TASK.inputs.items() if "#" not in name})
    bad = {**change("x", 1.0, 1.0), **({f"x|#{place}": torch.tensor(odd, dtype=torch.float64)})}
    if place == "change":
        bad = change("x", odd, 1.0)
    payload = prepare_payload(unbounded, {**bad, **change("y", 1.0, 2.0)})
    assert payload.dropped == ("x",)
    found = unpack_totals(payload.vector, list_layout(unbounded))
    assert not any(bool(t.any()) for name, t in found.items() if name.startswith("x|"))
    assert (int(found["#present|x"]), int(found["#present|y"])) == (0, 1)
    assert found["y|w"].tolist() == [1.0, 2.0]


@pytest.mark.parametrize("odd", [torch.nan, torch.inf])
def test_a_change_that_is_not_finite_has_no_norm_to_clip(odd):
    payload = prepare_payload(TASK, change("x", odd, 1.0))
    assert payload.dropped == ("x",)
    assert int(unpack_totals(payload.vector, list_layout(TASK))["#clipped|x"]) == 0


@pytest.mark.parametrize("bound", [[torch.nan, 1.0], [1.0, torch.inf], [-1.0, 1.0], [1.0, -1.0]])
def test_a_bound_that_is_none(bound):
    task = replace(TASK, inputs={**TASK.inputs, f"x|{BOUND}": torch.tensor(bound, dtype=torch.float64)})
    with pytest.raises(TaskDeclined, match="bound on the change of x"):
        prepare_payload(task, change("x", 1.0, 1.0))


def test_without_a_bound_nothing_is_clipped():
    unbounded = replace(TASK, inputs={name: t for name, t in TASK.inputs.items() if "#" not in name})
    payload = prepare_payload(unbounded, change("x", 960.0, 1280.0))
    assert payload.clipped == ()
    assert payload.norms == {}
