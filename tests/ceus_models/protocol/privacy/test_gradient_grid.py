"""A clipped gradient keeps its bound as whole numbers, and loses little."""

from __future__ import annotations

import math

import pytest
import torch

from ceus_models.protocol.privacy.gradient_grid import LARGEST, clip_to_grid, compute_grid_step


@pytest.mark.parametrize("numbers", [1, 6, 259, 5000])
@pytest.mark.parametrize("clip", [0.3, 1.0, 7.0])
def test_the_rounded_gradient_keeps_the_bound_exactly(numbers: int, clip: float) -> None:
    generator = torch.Generator().manual_seed(numbers)
    step = compute_grid_step(clip, numbers)
    for size in (1e-3, 0.9, 1.0, 1.1, 1e9):
        gradient = torch.randn(numbers, generator=generator)
        whole = clip_to_grid(gradient * (size * clip / float(gradient.norm())), clip)
        assert sum(x * x for x in whole.tolist()) <= (clip / step) ** 2  # whole numbers: no rounding in the check


def test_the_worst_direction_of_rounding_keeps_the_bound_too() -> None:
    step = compute_grid_step(1.0, 400)
    halves = torch.full((400,), 1.0, dtype=torch.float64)  # every number is rounded up by the same part of a step
    for shift in torch.linspace(0.9, 1.1, 41, dtype=torch.float64):
        whole = clip_to_grid(halves * shift * 0.05, 1.0)
        assert int((whole * whole).sum()) <= (1.0 / step) ** 2


@pytest.mark.parametrize("numbers", [6, 259, 187_000])
def test_the_step_is_a_power_of_two_and_clipping_below_the_bound_costs_a_hundredth(numbers: int) -> None:
    step = compute_grid_step(1.0, numbers)
    assert math.frexp(step)[0] == 0.5
    assert 0.005 <= step * math.sqrt(numbers) / 2 <= 0.01


def test_a_small_gradient_is_rounded_and_not_scaled() -> None:
    step = compute_grid_step(1.0, 4)
    gradient = torch.tensor([0.1, -0.2, 0.0, 0.3])
    assert (clip_to_grid(gradient, 1.0) * step - gradient).abs().max() <= step / 2
    assert clip_to_grid(torch.zeros(4), 1.0).tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_counts_as_nothing(bad: float) -> None:
    assert clip_to_grid(torch.tensor([1.0, bad]), 1.0).tolist() == [0, 0]


def test_whole_numbers_up_to_the_largest_are_exact_in_float32() -> None:
    assert int(torch.tensor(LARGEST).float()) == LARGEST
    assert int(torch.tensor(LARGEST + 2).float()) != LARGEST + 2
