"""Steps are powers of two from the size of the last changes, within bounds that every site checks."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from toy_lesions import task

from ceus_models.plan.answers.change_grid import STEPS, bound_steps, find_steps_fault
from ceus_models.plan.rounds.shared_steps import compute_steps
from ceus_models.protocol.messages import Quantisation
from ceus_models.protocol.state import select_net

NET = "disease/HCC"
START = {"w": torch.full((30, 10), 0.1), "b": torch.zeros(10), "big": torch.full((5,), 2.0)}


def sizes(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


@pytest.mark.parametrize("bits", [8, 12, 16])
def test_a_step_is_the_power_of_two_nearest_to_its_share_of_the_range(bits: int) -> None:
    last = sizes(1e-2, 3e-4, 0.5)
    steps = compute_steps(START, last, bits)
    ratio = steps * (2 ** (bits - 1) - 1) / (bits * last)
    assert bool(((ratio > 0.7) & (ratio < 1.42)).all())
    assert bool((torch.frexp(steps).mantissa == 0.5).all())


def test_a_first_step_comes_from_the_weights_and_a_tensor_of_zeros_has_that_of_its_net() -> None:
    steps = compute_steps(START, None, 16) * (2**15 - 1)
    whole = (sum(float(t.square().sum()) for t in START.values()) / 315) ** 0.5
    for found, size in zip(steps.tolist(), (whole, whole, 2.0), strict=True):
        assert 0.7 < found / size < 1.42


def test_a_tensor_that_did_not_change_keeps_a_step_with_which_it_can() -> None:
    still = compute_steps(START, sizes(1e-2, 0.0, 1e-2), 8)
    assert float(still[0]) / 2048 < float(still[1]) < float(still[0])
    assert torch.equal(compute_steps(START, sizes(0, 0, 0), 8), compute_steps(START, None, 8))


@pytest.mark.parametrize("size", [1e-300, 1e300])
def test_steps_stay_within_half_of_the_sites_bounds(size: float) -> None:
    least, most = bound_steps(START)
    steps = compute_steps(START, sizes(size, size, size), 8)
    assert 2 * least <= float(steps.min()) <= float(steps.max()) <= most / 2


def crafted(change: object) -> object:
    asked = dataclasses.replace(task("train", (NET,)), changes=Quantisation(8))
    steps = compute_steps(select_net(asked.inputs, NET), None, 8)
    return dataclasses.replace(asked, inputs={**asked.inputs, f"{NET}|{STEPS}": change(steps)})  # type: ignore[operator]


def at_first(value: float) -> object:
    return lambda steps: torch.cat([torch.tensor([value], dtype=torch.float64), steps[1:]])


def test_honest_steps_pass_and_crafted_ones_do_not() -> None:
    assert find_steps_fault(crafted(lambda steps: steps)) is None
    for value in (0.0, -0.5, 0.3, float("inf"), float("nan"), 2.0**40, 2.0**-60):
        assert "powers of two" in (find_steps_fault(crafted(at_first(value))) or ""), value
    for odd in (lambda steps: steps[1:], lambda steps: steps.float(), lambda steps: steps.view(1, -1)):
        assert "a step in float64 for each" in (find_steps_fault(crafted(odd)) or "")
