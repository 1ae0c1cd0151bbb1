"""Exact sums of updates: the total does not depend on the order of the answers.

Floating-point addition depends on the order. Here every float is rounded once to a multiple of 2^-30 (float32) or
2^-24 (float64) and added as an integer held in float64, which is exact below 2^53. So any order and any grouping of
sites gives the same bits, totals of several workers can be merged, and the masks of secure sums (Bonawitz et al. 2017)
can be added to the same integers. The absolute rounding error is 2^-31 a site, far below that of float32 weights.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from ceus_models.protocol.state import SMALL_TENSOR, State, concatenate, iterate_pieces, split_like

STEPS_PER_UNIT = {torch.float32: 2.0**30, torch.float64: 2.0**24}
EXACT_LIMIT = 2.0**52


class ExactSum:
    """A running sum of states; a name that a state lacks counts as zero.

    Small tensors that arrive together, such as those of one net, are stored in one tensor and added by one call.

    >>> total = ExactSum()
    >>> for weight in (0.1, 0.2, 0.3):
    ...     total.add({"w": torch.tensor([weight])})
    >>> total.value()
    {'w': tensor([0.6000])}
    """

    def __init__(self) -> None:
        """Begin with an empty sum."""
        self._sums: dict[str, Tensor] = {}
        self._types: dict[str, torch.dtype] = {}
        self._flat: dict[tuple[str, ...], Tensor] = {}

    def __getstate__(self) -> dict[str, Any]:
        """The sums as arrays, which pickle (PEP 574) passes on without a copy; torch would store a group many times."""
        return {"sums": {name: total.cpu().numpy() for name, total in self._sums.items()}, "types": self._types}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Copy the arrays, which another process may own."""
        self._sums = {name: torch.from_numpy(array.copy()) for name, array in state["sums"].items()}
        self._types, self._flat = state["types"], {}

    def add(self, state: State) -> None:
        """Add one state, in place. Raises ValueError if the shape or dtype of a name has changed."""
        for name, tensor in state.items():
            self._check(name, tensor)
        for part in _group_tensors(state):
            self._add_zeros({name: tensor for name, tensor in part.items() if name not in self._sums})
            flat = self._flat.get(tuple(part))
            if flat is not None and len(part) > 1:
                _accumulate(flat, concatenate(part.values()))
                continue
            for name, tensor in part.items():  # single tensors, or tensors that were grouped otherwise before
                _accumulate(self._sums[name], tensor)

    def merge(self, other: ExactSum) -> None:
        """Add what another sum holds, in place. Raises ValueError if the shape or dtype of a name differs.

        >>> part, total = ExactSum(), ExactSum()
        >>> part.add({"w": torch.tensor([0.5])})
        >>> total.merge(part)
        >>> total.value()
        {'w': tensor([0.5000])}
        """
        for name, tensor in other._sums.items():
            dtype = other._types[name]
            if name not in self._sums:
                self._sums[name], self._types[name] = tensor.clone(), dtype
                continue
            self._check_like(name, tuple(tensor.shape), dtype)
            self._sums[name].add_(tensor.to(self._sums[name].device))

    def to(self, device: torch.device) -> ExactSum:
        """The same sum on another device; further states may be added to it."""
        moved = ExactSum()
        moved._sums = {name: total.to(device) for name, total in self._sums.items()}
        moved._types = dict(self._types)
        return moved

    def value(self) -> dict[str, Tensor]:
        """The sum, floats in the dtype of the states and integers in int64.

        Raises:
            OverflowError: a sum is beyond the range in which addition is exact.
        """
        return {name: _convert_to_dtype(name, total, self._types[name]) for name, total in self._sums.items()}

    def take_float64(self) -> dict[str, Tensor]:
        """Take the sum with floats in float64, for a mean that is rounded only once.

        The total is empty afterwards: it gives its memory to the result, so that a large sum is not held twice.
        """
        sums, types = self._sums, self._types
        self._sums, self._types, self._flat = {}, {}, {}
        for name, total in sums.items():
            if total.is_floating_point():
                _check_exact(name, total)
                total.div_(STEPS_PER_UNIT[types[name]])
        return sums

    def _check(self, name: str, tensor: Tensor) -> None:
        if tensor.is_floating_point() and tensor.dtype not in STEPS_PER_UNIT:
            raise ValueError(f"expected float32, float64 or integers, {name} has {tensor.dtype}; convert it first")
        if name in self._sums:
            self._check_like(name, tuple(tensor.shape), tensor.dtype)

    def _check_like(self, name: str, shape: tuple[int, ...], dtype: torch.dtype) -> None:
        known = tuple(self._sums[name].shape)
        if known != shape or self._types[name] != dtype:
            raise ValueError(f"{name}: expected {known} {self._types[name]}, found {shape} {dtype}")

    def _add_zeros(self, fresh: State) -> None:
        """Add zeros for new tensors of one dtype, in one flat tensor."""
        if not fresh:
            return
        first = next(iter(fresh.values()))
        wide = torch.float64 if first.is_floating_point() else torch.int64
        flat = torch.zeros(sum(t.numel() for t in fresh.values()), dtype=wide, device=first.device)
        self._flat[tuple(fresh)] = flat
        self._sums |= split_like(flat, fresh)
        self._types |= dict.fromkeys(fresh, first.dtype)


def _group_tensors(state: State) -> Iterable[dict[str, Tensor]]:
    """Group a state by dtype: small tensors whose names agree up to the last "|" together, others alone."""
    parts: dict[tuple[str, torch.dtype], dict[str, Tensor]] = {}
    for name, tensor in state.items():
        small = tensor.numel() <= SMALL_TENSOR
        parts.setdefault((name.rpartition("|")[0] if small else f"{name}|", tensor.dtype), {})[name] = tensor
    return parts.values()


def _accumulate(total: Tensor, tensor: Tensor) -> None:
    """Add `tensor` to the contiguous `total` in place, in pieces that fit the processor's cache."""
    if tensor.numel() <= SMALL_TENSOR:
        total.add_(_convert_to_integers(tensor))
        return
    for into, part in zip(iterate_pieces([total]), iterate_pieces([tensor]), strict=True):
        into.add_(_convert_to_integers(part))


def _convert_to_integers(tensor: Tensor) -> Tensor:
    return (tensor * STEPS_PER_UNIT[tensor.dtype]).round_() if tensor.is_floating_point() else tensor


def _convert_to_dtype(name: str, total: Tensor, dtype: torch.dtype) -> Tensor:
    if not total.is_floating_point():
        return total.clone()
    _check_exact(name, total)
    return (total / STEPS_PER_UNIT[dtype]).to(dtype)


def _check_exact(name: str, total: Tensor) -> None:
    if not total.numel():
        return
    low, high = torch.aminmax(total)
    if max(-float(low), float(high)) >= EXACT_LIMIT:
        raise OverflowError(f"expected a sum below {EXACT_LIMIT:g} steps, {name} is larger; use a larger unit")
