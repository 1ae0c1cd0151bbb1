"""The grid of whole numbers on which patients' gradients are added, so that noise can be whole numbers too.

A gradient is clipped a little below the bound before it is rounded, so that the rounded one keeps the bound: rounding
moves a vector of d numbers by at most step · √d / 2. Rounding the sum instead would add step · √d to its sensitivity.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

LARGEST = 2**24 - 1
"""Whole numbers up to it are exact in float32."""
_COARSENESS = 0.02
_ROUNDING = 1 - 2.0**-40
"""Leaves room for float64's own rounding."""


def compute_grid_step(clip: float, numbers: int) -> float:
    """The grid's step for gradients of so many numbers: a power of two, so that clipping loses 1 % of the bound."""
    return float(2.0 ** math.floor(math.log2(_COARSENESS * clip / math.sqrt(numbers))))


def clip_to_grid(gradient: Tensor, clip: float) -> Tensor:
    """A gradient (d) as whole steps (d) int64, of norm at most `clip`; one that is not finite counts as zeros."""
    step = compute_grid_step(clip, len(gradient))
    wide = gradient.double()
    size = float(torch.linalg.vector_norm(wide))
    if not math.isfinite(size):
        return torch.zeros(len(gradient), dtype=torch.int64, device=gradient.device)
    bound = (clip - step * math.sqrt(len(gradient)) / 2) * _ROUNDING
    return (wide * (min(1.0, bound / size) / step if size else 0.0)).round_().long()
