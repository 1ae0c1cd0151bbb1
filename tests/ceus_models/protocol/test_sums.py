"""Sums are exact: any order and any grouping of sites gives the same bits."""

from __future__ import annotations

import pytest
import torch

from ceus_models.protocol.state import SMALL_TENSOR, State, digest
from ceus_models.protocol.sums import ExactSum


def answers(count: int = 40) -> list[State]:
    generator = torch.Generator().manual_seed(0)
    return [
        {
            "w": torch.randn(500, generator=generator) * 10.0 ** float(torch.randint(-6, 3, (1,), generator=generator)),
            "moment": torch.randn(20, generator=generator, dtype=torch.float64) * 1e3,
            "count": torch.randint(0, 99, (6,), generator=generator),
        }
        for _ in range(count)
    ]


def total(states: list[State]) -> ExactSum:
    running = ExactSum()
    for state in states:
        running.add(state)
    return running


def test_order_and_grouping_do_not_change_a_bit() -> None:
    states = answers()
    forward, backward = total(states).value(), total(states[::-1]).value()
    assert digest(forward) == digest(backward)
    naive = sum(s["w"] for s in states)
    assert not torch.equal(naive, sum(s["w"] for s in states[::-1])), "the test needs numbers that rounding can hurt"


def test_what_came_together_may_come_apart() -> None:
    """A site that leaves tensors out, or tells them in another order, adds to the same sums."""
    a, b, c = torch.ones(2), torch.full((2, 2), 2.0), torch.tensor(3.0)
    parts: list[State] = [
        {"n|a": a, "n|b": b},
        {"n|b": b},
        {"n|b": b, "n|a": a, "m|c": c},
        {"n|a": a, "n|b": b, "n|c": c},
    ]
    value = total(parts).value()
    assert value["n|a"].tolist() == [3.0, 3.0]
    assert value["n|b"].tolist() == [[8.0, 8.0], [8.0, 8.0]]
    assert (value["n|c"].item(), value["m|c"].item()) == (3.0, 3.0)


def test_large_tensors_are_added_in_slices() -> None:
    draws = [torch.randn(3, SMALL_TENSOR, generator=torch.Generator().manual_seed(n)) for n in range(3)]
    together = total([{"w": draw} for draw in draws]).take_float64()["w"]
    assert torch.allclose(together, sum(draw.double() for draw in draws), atol=3 * 2**-31, rtol=0)


def test_agrees_with_addition_in_double_precision() -> None:
    states = answers()
    value = total(states).value()
    assert torch.allclose(value["w"].double(), sum(s["w"].double() for s in states), atol=40 * 2**-31, rtol=1e-6)
    assert torch.allclose(value["moment"], sum(s["moment"] for s in states), atol=40 * 2**-24)
    assert torch.equal(value["count"], sum(s["count"] for s in states))
    assert value["w"].dtype == torch.float32
    assert value["count"].dtype == torch.int64


def test_wide_keeps_what_float32_would_round() -> None:
    states: list[State] = [{"w": torch.tensor([1.0])}, {"w": torch.tensor([2.0**-25])}]
    assert total(states).take_float64()["w"].item() == 1.0 + 2.0**-25
    assert total(states).value()["w"].item() == 1.0


def test_int32_counts_do_not_overflow() -> None:
    states: list[State] = [{"n": torch.tensor([2**31 - 1], dtype=torch.int32)}] * 3
    assert total(states).value()["n"].item() == 3 * (2**31 - 1)


def test_a_missing_name_is_zero_and_another_shape_is_refused() -> None:
    running = total([{"a": torch.ones(2)}, {"b": torch.ones(1)}])
    assert running.value()["a"].tolist() == [1.0, 1.0]
    with pytest.raises(ValueError, match="a: expected .*float32, found .*float32"):
        running.add({"a": torch.ones(3)})
    with pytest.raises(ValueError, match="found .*float64"):
        running.add({"a": torch.ones(2, dtype=torch.float64)})


def test_a_sum_beyond_the_exact_range_is_an_error_not_a_wrong_number() -> None:
    with pytest.raises(OverflowError, match="w"):
        total([{"w": torch.tensor([1e9])}]).value()


def test_the_answer_is_not_changed() -> None:
    state = {"n": torch.ones(2, dtype=torch.int64), "w": torch.ones(2, dtype=torch.float64)}
    running = total([state, state])
    assert state["n"].tolist() == [1, 1]
    assert state["w"].tolist() == [1.0, 1.0]
    assert running.value()["n"].tolist() == [2, 2]
