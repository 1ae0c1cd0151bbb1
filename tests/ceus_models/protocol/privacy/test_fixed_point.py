"""Totals of packed integers are those of the plain exact sum, bit for bit."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ceus_models.protocol.privacy.fixed_point import (
    ROOM,
    bound_narrow,
    can_be_added,
    count_word_bytes,
    extend_sign,
    from_words,
    pack_integers,
    to_words,
    unpack_totals,
)
from ceus_models.protocol.state import State, digest
from ceus_models.protocol.sums import EXACT_LIMIT, STEPS_PER_UNIT, ExactSum

DTYPES = (torch.float32, torch.float64, torch.int32, torch.int64, torch.uint8)


def make_state(seed: int) -> dict[str, torch.Tensor]:
    """All five dtypes of the wire, of several sizes and shapes."""
    generator = torch.Generator().manual_seed(seed)
    return {
        "weights": torch.randn(70_001, generator=generator) * 10.0 ** (seed % 4),
        "matrix": torch.randn(3, 5, generator=generator),
        "moments": torch.randn(4, 3, generator=generator, dtype=torch.float64) * 1e4,
        "counts": torch.randint(-9, 99, (6,), generator=generator, dtype=torch.int32),
        "units": torch.randint(0, 1 << 40, (2, 2), generator=generator),
        "bytes": torch.randint(0, 255, (7,), generator=generator, dtype=torch.uint8),
        "one": torch.tensor(float(seed), dtype=torch.float64),
        "none": torch.zeros(0),
    }


@pytest.mark.parametrize("sites", [1, 3, 12, 52])
def test_totals_are_those_of_the_plain_sum(sites: int) -> None:
    states: list[State] = [make_state(seed) for seed in range(sites)]
    plain = ExactSum()
    for state in states:
        plain.add(state)
    vector = pack_integers(states[0], states[0], sites)
    for state in states[1:]:
        vector += pack_integers(state, states[0], sites)
    assert digest(unpack_totals(vector, states[0])) == digest(plain.take_float64())


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_dtype_up_to_its_bound(dtype: torch.dtype) -> None:
    """At ±(2^52/n - 1) steps (float32: the last number below it) the total of n sites is exact."""
    sites = 3
    most = torch.tensor(2**52 // sites - 1).to(torch.float64) / STEPS_PER_UNIT.get(dtype, 1.0)
    if dtype == torch.uint8:
        most = torch.tensor(255.0)
    if dtype == torch.int32:
        most = torch.tensor(2.0**31 - 1, dtype=torch.float64)
    value = most.to(dtype)
    if value.double() > most:  # float32 rounded up
        value = torch.nextafter(value, torch.zeros_like(value))
    edge = torch.stack([value, -value if dtype != torch.uint8 else value * 0])
    assert can_be_added(edge, sites)
    vector = pack_integers({"x": edge}, {"x": edge}, sites)
    total = unpack_totals(vector + vector + vector, {"x": edge})["x"]
    assert torch.equal(total, 3 * (edge.double() if dtype.is_floating_point else edge.long()))


@pytest.mark.parametrize("odd", [2.0**52 / 3 / 2**30, -(2.0**40), torch.nan, torch.inf, -torch.inf])
def test_what_could_wrap_around_is_refused(odd: float) -> None:
    state = {"x": torch.tensor([0.0, odd])}
    assert not can_be_added(state["x"], 3)
    with pytest.raises(OverflowError, match="x has another"):
        pack_integers(state, state, 3)


def test_integers_have_the_same_bound() -> None:
    state = {"n": torch.tensor([2**52 // 4])}
    with pytest.raises(OverflowError, match="n has another"):
        pack_integers(state, state, 4)
    assert int(pack_integers(state, state, 3)[0]) == 2**50


def test_what_a_site_lacks_is_zeros() -> None:
    whole = make_state(1)
    part = {"units": whole["units"]}
    totals = unpack_totals(pack_integers(part, whole, 3), whole)
    assert torch.equal(totals["units"], whole["units"])
    assert all(not bool(t.any()) for name, t in totals.items() if name != "units")
    assert list(totals) == list(whole)


def test_another_shape_or_dtype_is_refused() -> None:
    layout = {"x": torch.zeros(2)}
    for wrong in (torch.zeros(3), torch.zeros(2, dtype=torch.float64), torch.zeros(2, 1)):
        with pytest.raises(ValueError, match=r"x: expected \(2,\)"):
            pack_integers({"x": wrong}, layout, 3)


def test_a_mask_that_remains_is_found() -> None:
    layout = {"x": torch.zeros(4)}
    vector = pack_integers({}, layout, 3)
    vector[2] += 1 << 63
    with pytest.raises(OverflowError, match="void"):
        unpack_totals(vector, layout)
    vector[2] = int(EXACT_LIMIT)
    with pytest.raises(OverflowError, match="void"):
        unpack_totals(vector, layout)


@pytest.mark.parametrize("sites", [3, 52, 500])
@pytest.mark.parametrize("largest", [127, 2047, 32767])
def test_sums_in_narrow_words_do_not_wrap(largest: int, sites: int) -> None:
    """Every site at the edge, masks of 64 bits that cancel: the lowest bytes alone give the signed total."""
    size = count_word_bytes(largest, sites)
    edge = bound_narrow(size, sites)
    assert ROOM * largest <= edge
    assert sites * edge < 2 ** (8 * size - 1)
    values = np.array([edge, -edge, 1, -1, 0, ROOM * largest], np.int64)
    generator = np.random.default_rng(sites)
    masks = generator.integers(0, 2**64, (sites - 1, len(values)), np.uint64)
    total = np.zeros(len(values), np.uint64)
    for mask in (*masks, np.uint64(0) - masks.sum(0, dtype=np.uint64)):
        total += from_words(to_words(values.view(np.uint64) + mask, size))
    assert extend_sign(total, size).view(np.int64).tolist() == (values * sites).tolist()


def test_words_are_as_narrow_as_the_sum_allows() -> None:
    assert [count_word_bytes(127, sites) for sites in (3, 52, 64, 65)] == [3, 3, 3, 4]
    assert to_words(np.zeros(5, np.uint64), 3).shape == (5, 3)
