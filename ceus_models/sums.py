"""How answers add: exactly, so that the total does not depend on who answered first or on which worker.

Floating-point addition depends on the order. Here every float is rounded once to a multiple of 2^-30 (float32) or
2^-24 (float64) and added as a whole number held in float64, which is exact below 2^53. So any order and any grouping
of sites gives the same bits, a total can be kept per worker and merged, and masks for secure sums can be added to the
same whole numbers. The price is an absolute rounding error of 2^-31 per site, far below that of float32 weights.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ceus_models.state import State

STEPS = {torch.float32: 2.0**30, torch.float64: 2.0**24}
EXACT_BELOW = 2.0**52
SLICE = 1 << 16
"""Larger tensors are added in slices of this many numbers, which stay in the processor's cache: twice as fast."""


class Total:
    """A running sum of states. A name that is missing in some state counts as zero there."""

    def __init__(self) -> None:
        """An empty total."""
        self._sums: dict[str, Tensor] = {}
        self._types: dict[str, torch.dtype] = {}

    def add(self, state: State) -> None:
        """Add one answer, tensor by tensor, in place.

        Raises ValueError if a name comes with another shape or dtype than before.
        """
        for name, tensor in state.items():
            self._check(name, tensor)
            if name not in self._sums:
                self._types[name] = tensor.dtype
                wide = torch.float64 if tensor.is_floating_point() else torch.int64
                self._sums[name] = torch.zeros(tensor.shape, dtype=wide, device=tensor.device)
            _accumulate(self._sums[name], tensor)

    def value(self) -> dict[str, Tensor]:
        """The sum, in the dtype of the answers for floats and int64 for counts.

        Raises OverflowError when a sum left the range in which addition is exact.
        """
        return {name: _value(name, total, self._types[name]) for name, total in self._sums.items()}

    def wide(self) -> dict[str, Tensor]:
        """The sum with floats in float64, for a mean that is rounded only once.

        The total is empty afterwards: its memory becomes the sum's, so that a large sum is not held twice.
        """
        sums, types, self._sums, self._types = self._sums, self._types, {}, {}
        for name, total in sums.items():
            if total.is_floating_point():
                _check_exact(name, total)
                total.div_(STEPS[types[name]])
        return sums

    def _check(self, name: str, tensor: Tensor) -> None:
        if tensor.is_floating_point() and tensor.dtype not in STEPS:
            raise ValueError(f"sums travel as float32, float64 or integers, not {tensor.dtype}")
        if name not in self._sums:
            return
        if self._sums[name].shape != tensor.shape or self._types[name] != tensor.dtype:
            raise ValueError(
                f"{name}: {tuple(tensor.shape)} {tensor.dtype} cannot be added to "
                f"{tuple(self._sums[name].shape)} {self._types[name]}"
            )


def _accumulate(total: Tensor, tensor: Tensor) -> None:
    """Add `tensor` to `total`, which is contiguous, in place."""
    if tensor.numel() <= SLICE:
        total.add_(_whole(tensor))
        return
    for into, part in zip(_slices(total), _slices(tensor), strict=True):
        into.add_(_whole(part))


def _slices(tensor: Tensor) -> tuple[Tensor, ...]:
    return torch.split(tensor.reshape(-1), SLICE)


def _whole(tensor: Tensor) -> Tensor:
    return (tensor * STEPS[tensor.dtype]).round_() if tensor.is_floating_point() else tensor


def _value(name: str, total: Tensor, dtype: torch.dtype) -> Tensor:
    if not total.is_floating_point():
        return total.clone()
    _check_exact(name, total)
    return (total / STEPS[dtype]).to(dtype)


def _check_exact(name: str, total: Tensor) -> None:
    if not total.numel():
        return
    low, high = torch.aminmax(total)
    if max(-float(low), float(high)) >= EXACT_BELOW:
        raise OverflowError(f"the sum of {name} is too large to be exact; divide its unit")
