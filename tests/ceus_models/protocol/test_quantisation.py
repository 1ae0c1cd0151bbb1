"""Rounding is unbiased and exact in its steps; packed numbers come back as they were, and others are refused."""

from __future__ import annotations

import math

import pytest
import torch

from ceus_models.protocol.quantisation import (
    count_packed,
    find_limit,
    get_packed_dtype,
    pack_numbers,
    round_stochastically,
    unpack_numbers,
)

BITS = (8, 12, 16)


def generator(seed: int = 3) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_the_mean_over_draws_is_the_number() -> None:
    """A draw's variance is at most 1/4 of a step squared: the mean of n draws is within 5 / (2 sqrt n) steps."""
    draws = 40_000
    for number in (0.3, -0.3, 7.01, -125.5, 0.0):
        numbers, steps = torch.full((draws,), number), torch.full((draws,), 0.5)
        whole = round_stochastically(numbers / 2, steps, 127, generator())
        assert abs(float(whole.double().mean()) - number) <= 5 / (2 * math.sqrt(draws))
        assert {int(n) for n in whole.unique()} <= {math.floor(number), math.ceil(number)}


def test_whole_numbers_of_steps_stay_and_large_ones_are_cut_off() -> None:
    numbers = torch.tensor([0.0, 0.25, -0.75, 40.0, -1e30, 3e38])
    whole = round_stochastically(numbers, torch.full((6,), 0.25), 127, generator())
    assert whole.tolist() == [0, 1, -3, 127, -127, 127]


def test_rounding_depends_on_the_generator_alone() -> None:
    numbers, steps = torch.randn(1000, generator=generator(1)), torch.full((1000,), 2.0**-3)
    same = [round_stochastically(numbers, steps, 127, generator()) for _ in range(2)]
    assert torch.equal(*same)
    assert not torch.equal(same[0], round_stochastically(numbers, steps, 127, generator(4)))


def test_what_is_sent_and_what_is_left_are_the_number() -> None:
    """But for half a unit in the last place of float32: steps are powers of two, so multiplying by them is exact."""
    numbers = torch.randn(20_000, generator=generator(1)) * torch.logspace(-6, 1, 20_000)
    for bits in BITS:
        steps = torch.exp2(torch.randint(-30, 2, (20_000,), generator=generator(2)).float())
        sent = round_stochastically(numbers, steps, find_limit(bits), generator()) * steps
        lacking = numbers.double() - (sent.double() + (numbers - sent).double())
        assert bool((lacking.abs() <= 2.0**-24 * torch.maximum(numbers.abs(), steps)).all())


@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("count", [0, 1, 2, 3, 7, 1000, 1001])
def test_packed_numbers_come_back(bits: int, count: int) -> None:
    limit = find_limit(bits)
    whole = torch.randint(-limit, limit + 1, (count,), generator=generator(count)).to(torch.int16)
    whole[: min(count, 4)] = torch.tensor([limit, -limit, -1, 0], dtype=torch.int16)[: min(count, 4)]
    packed = pack_numbers(whole, bits)
    assert (packed.dtype, len(packed)) == (get_packed_dtype(bits), count_packed(count, bits))
    assert packed.numel() * packed.itemsize == -(-count * bits // 8)
    assert torch.equal(unpack_numbers(packed, bits, count), whole)


@pytest.mark.parametrize("bits", BITS)
def test_packed_numbers_of_another_length_or_dtype_are_refused(bits: int) -> None:
    packed = pack_numbers(torch.zeros(10, dtype=torch.int16), bits)
    for wrong in (packed[:-1], torch.cat([packed, packed[:1]]), packed.float(), packed.view(1, -1)):
        with pytest.raises(ValueError, match=f"expected 10 numbers of {bits} bits"):
            unpack_numbers(wrong, bits, 10)
