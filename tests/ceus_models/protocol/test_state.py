"""Arithmetic on named tensors."""

from __future__ import annotations

import pytest
import torch

from ceus_models.protocol.state import (
    SMALL_TENSOR,
    add,
    add_prefix,
    digest,
    is_finite,
    iterate_pieces,
    norm,
    scale,
    select_net,
    split_by_net,
    subtract,
    zeros_like,
)

A = {"x": torch.tensor([1.0, 2.0]), "n": torch.tensor(3)}
B = {"x": torch.tensor([0.5, -1.0]), "n": torch.tensor(4)}


def test_arithmetic_is_by_name_and_changes_nothing() -> None:
    before = digest(A)
    assert add(A, B)["x"].tolist() == [1.5, 1.0]
    assert add(A, B)["n"].dtype == torch.int64
    assert subtract(A, B)["x"].tolist() == [0.5, 3.0]
    assert scale({"x": A["x"]}, 2)["x"].tolist() == [2.0, 4.0]
    assert zeros_like(A)["n"].item() == 0
    assert digest(A) == before


def test_states_of_other_names_are_refused_by_name() -> None:
    with pytest.raises(ValueError, match="only one of them has y"):
        add(A, {**B, "y": torch.ones(1)})


def test_norm_counts_floats_only_and_in_float64() -> None:
    big = {"a": torch.full((3,), 1e30), "n": torch.tensor(7)}
    assert norm(big) == pytest.approx(3**0.5 * 1e30)


def test_finite_sees_nan_and_infinity() -> None:
    assert is_finite(A)
    assert not is_finite({"x": torch.tensor([1.0, float("nan")])})
    assert not is_finite({"x": torch.tensor([float("inf")])})
    assert is_finite({"x": torch.tensor([1e200], dtype=torch.float64)}), "though its square is infinite"


def test_pieces_hold_the_same_numbers_small_tensors_joined_by_dtype_and_large_ones_cut() -> None:
    large = torch.arange(2.0 * SMALL_TENSOR + 1).reshape(1, -1)
    found = list(iterate_pieces([torch.ones(2, 3), large, torch.tensor(5), torch.zeros(4)]))
    assert [len(piece) for piece in found] == [SMALL_TENSOR, SMALL_TENSOR, 1, 10, 1]
    assert torch.equal(torch.cat(found[:3]), large[0])
    assert found[0].data_ptr() == large.data_ptr(), "large tensors are not copied"
    assert found[3].tolist() == [1.0] * 6 + [0.0] * 4
    assert norm({"x": large}) == pytest.approx(float(large.double().norm()), rel=1e-14)


def test_the_parameters_of_one_net() -> None:
    state = {**add_prefix({"w": torch.ones(1)}, "disease/HCC|"), "disease/HCC|#weight": torch.tensor(2.0)}
    assert set(select_net(state, "disease/HCC")) == {"w"}
    assert {net: set(own) for net, own in split_by_net(state).items()} == {"disease/HCC": {"w"}}


def test_digest_sees_names_dtypes_shapes_and_bits_but_not_order() -> None:
    x, y = torch.tensor([1.0, 2.0]), torch.tensor([3.0])
    assert digest({"x": x, "y": y}) == digest({"y": y, "x": x})
    others = [
        {"x": x, "z": y},
        {"x": x.double(), "y": y},
        {"x": x.reshape(2, 1), "y": y},
        {"x": x.nextafter(torch.tensor([9.0, 2.0])), "y": y},
    ]
    assert len({digest(other) for other in [{"x": x, "y": y}, *others]}) == 5
