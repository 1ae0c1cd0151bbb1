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
            whole = _whole(tensor)
            if name in self._sums:
                self._sums[name].add_(whole)
            else:
                self._types[name] = tensor.dtype
                self._sums[name] = whole.to(torch.float64 if tensor.is_floating_point() else torch.int64, copy=True)

    def value(self) -> dict[str, Tensor]:
        """The sum, in the dtype of the answers for floats and int64 for counts.

        Raises OverflowError when a sum left the range in which addition is exact.
        """
        return {name: _value(name, total, self._types[name]) for name, total in self._sums.items()}

    def wide(self) -> dict[str, Tensor]:
        """The sum with floats in float64, for a mean that is rounded only once."""
        return {
            name: _value(name, total, torch.float64 if total.is_floating_point() else torch.int64, self._types[name])
            for name, total in self._sums.items()
        }

    def _check(self, name: str, tensor: Tensor) -> None:
        if name not in self._sums:
            return
        if self._sums[name].shape != tensor.shape or self._types[name] != tensor.dtype:
            raise ValueError(
                f"{name}: {tuple(tensor.shape)} {tensor.dtype} cannot be added to "
                f"{tuple(self._sums[name].shape)} {self._types[name]}"
            )


def _whole(tensor: Tensor) -> Tensor:
    if not tensor.is_floating_point():
        return tensor
    if tensor.dtype not in STEPS:
        raise ValueError(f"sums travel as float32, float64 or integers, not {tensor.dtype}")
    return torch.round(tensor * STEPS[tensor.dtype])


def _value(name: str, total: Tensor, dtype: torch.dtype, answered: torch.dtype | None = None) -> Tensor:
    if not total.is_floating_point():
        return total.clone()
    if total.numel() and float(total.abs().max()) >= EXACT_BELOW:
        raise OverflowError(f"the sum of {name} is too large to be exact; divide its unit")
    return (total / STEPS[answered or dtype]).to(dtype)
