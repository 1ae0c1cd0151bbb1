"""The steps of quantised changes, which all sites share in a round: from the size of the last accepted changes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from ceus_models.plan.answers.change_grid import ChangeGrid, bound_steps
from ceus_models.protocol.quantisation import find_limit
from ceus_models.protocol.state import State, norm

_FIRST_RANGE = 1.0
"""Of the first round's numbers, in multiples of the root mean square of the tensor, or of the net if that is larger."""
_LEAST_SHARE = 2.0**-10
"""Of a tensor's size in the net's: a tensor that did not change may change in the next round."""


def compute_steps(start: State, sizes: Tensor | None, bits: int) -> Tensor:
    """The step of each tensor of a net, a power of two (tensors) f64.

    Args:
        start: the net as it is sent.
        sizes: root mean square of the last round's changes, of each tensor; None before a change was accepted.
        bits: of the numbers: their range is so many sizes, which few numbers exceed (docs/benchmarks.md).
    """
    counts = torch.tensor([tensor.numel() for tensor in start.values()], dtype=torch.float64)
    whole = 0.0 if sizes is None else _average(sizes, counts)
    if sizes is None or whole <= 0:
        own = [norm({name: tensor}) / math.sqrt(max(tensor.numel(), 1)) for name, tensor in start.items()]
        weights = torch.tensor(own, dtype=torch.float64)
        largest = _FIRST_RANGE * weights.clamp(min=_average(weights, counts))
    else:
        largest = bits * sizes.clamp(min=_LEAST_SHARE * whole)
    least, most = bound_steps(start)
    exact = torch.exp2(torch.log2(largest / find_limit(bits)).round())
    return exact.clamp(2 * least, most / 2)


def encode_weights(state: State) -> dict[str, Tensor]:
    """Weights in bfloat16, as sites train from them; whole numbers stay."""
    return {name: t.bfloat16() if t.is_floating_point() else t for name, t in state.items()}


class QuantisedMean(Mapping[str, Tensor]):
    """A net's mean change in float64 from the sum of whole numbers (d), computed tensor by tensor on access."""

    def __init__(self, total: Tensor, weight: float, grid: ChangeGrid) -> None:
        """weight: the lesions of the sum."""
        self._total, self._weight = grid.split(total), weight
        self._steps = dict(zip(self._total, grid.steps.tolist(), strict=True))

    def __getitem__(self, name: str) -> Tensor:
        """The mean change of one tensor."""
        mean: Tensor = self._total[name].double() * (self._steps[name] / self._weight)
        return mean

    def __iter__(self) -> Iterator[str]:
        """Names of the net's tensors."""
        return iter(self._total)

    def __len__(self) -> int:
        """Number of tensors."""
        return len(self._total)


def _average(sizes: Tensor, counts: Tensor) -> float:
    """Root mean square over all numbers of a net."""
    return math.sqrt(float((counts * sizes.square()).sum()) / max(float(counts.sum()), 1.0))
