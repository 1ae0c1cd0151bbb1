"""Tensors of an answer as one vector of 64-bit integers: those that `ceus_models.protocol.sums.ExactSum` adds.

Sums of masked vectors are taken modulo 2^64 (Bonawitz et al. 2017). Each of n sites stays below 2^52/n, so a total
never wraps around, and equals the plain total bit for bit.

Quantised changes need less: of each of their numbers only the lowest w bytes travel, which are a sum modulo 2^(8 w),
and a uniform mask modulo 2^64 is uniform there too. Each of n sites stays below 2^(8 w - 1)/n, so the total lies in
-2^(8 w - 1) … 2^(8 w - 1) - 1, and the bytes are that number in two's complement.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ceus_models.protocol.state import State
from ceus_models.protocol.sums import EXACT_LIMIT, STEPS_PER_UNIT

Ring = npt.NDArray[np.uint64]
"""Integers modulo 2^64."""


class Shaped(Protocol):
    """Shape and dtype of one tensor."""

    @property
    def shape(self) -> tuple[int, ...]:
        """As of a tensor."""

    @property
    def dtype(self) -> torch.dtype:
        """As of a tensor."""


Layout = Mapping[str, Shaped]
"""Names in the order of the vector."""
ROOM = 1024
"""Lesions a site for which narrow words have room; the numbers of a larger site are cut off earlier."""


def count_word_bytes(largest: int, sites: int) -> int:
    """Bytes of the narrowest words for sums over sites of lesions · numbers up to `largest`.

    >>> count_word_bytes(127, 52), count_word_bytes(32767, 52)
    (3, 4)
    """
    return -(-((sites * ROOM * largest).bit_length() + 1) // 8)


def bound_narrow(word_bytes: int, sites: int) -> int:
    """The largest magnitude of one of so many sites' numbers."""
    return ((1 << (8 * word_bytes - 1)) - 1) // max(sites, 1)


def to_words(numbers: Ring, word_bytes: int) -> Tensor:
    """The lowest bytes of numbers (m) as u8 (m w), little-endian."""
    parts = numbers.astype("<u8").view(np.uint8).reshape(-1, 8)[:, :word_bytes]
    return torch.from_numpy(np.ascontiguousarray(parts))


def from_words(words: Tensor) -> Ring:
    """Numbers (m) whose lowest bytes are u8 (m w); the others are zeros."""
    numbers = np.zeros((len(words), 8), np.uint8)
    numbers[:, : words.shape[1]] = words.numpy()
    return numbers.reshape(-1).view("<u8").astype(np.uint64)


def extend_sign(numbers: Ring, word_bytes: int) -> Ring:
    """Sums modulo 2^(8 w) as the signed numbers that they are modulo 2^64."""
    shift = np.uint64(64 - 8 * word_bytes)
    return ((numbers << shift).view(np.int64) >> shift.view(np.int64)).view(np.uint64)


def count_numbers(layout: Layout) -> int:
    """Length of the vector."""
    return sum(math.prod(spec.shape) for spec in layout.values())


def pack_integers(state: State, layout: Layout, sites: int) -> Ring:
    """The integers of `state` in the order of `layout`; what the state lacks is zeros.

    Args:
        sites: that add: each may use its share of the range.

    Raises:
        ValueError: another shape or dtype than the layout's.
        OverflowError: a number that is not finite, or not below 2^52 / sites steps.
    """
    vector = np.zeros(count_numbers(layout), np.uint64)
    signed, place = torch.from_numpy(vector.view(np.int64)), 0
    for name, spec in layout.items():
        size = math.prod(spec.shape)
        if name in state:
            tensor = state[name]
            if tuple(tensor.shape) != tuple(spec.shape) or tensor.dtype != spec.dtype:
                raise ValueError(
                    f"{name}: expected {tuple(spec.shape)} {spec.dtype}, found {tuple(tensor.shape)} {tensor.dtype}"
                )
            signed[place : place + size] = _convert_to_integers(name, tensor.detach().cpu().reshape(-1), sites)
        place += size
    return vector


def can_be_added(tensor: Tensor, sites: int) -> bool:
    """Whether `pack_integers` takes the numbers of a tensor: all finite, and below 2^52 / sites steps."""
    flat = tensor.detach().reshape(-1)
    steps = flat * STEPS_PER_UNIT[flat.dtype] if flat.is_floating_point() else flat.long()
    return not flat.numel() or _is_below(steps.round() if flat.is_floating_point() else steps, _bound(sites))


def unpack_totals(vector: Ring, layout: Layout) -> dict[str, Tensor]:
    """The totals as `ExactSum.take_float64` gives them: floats in float64, integers in int64.

    Raises:
        OverflowError: a total is not below 2^52 steps, as where a mask remained in it.
    """
    signed, place = torch.from_numpy(vector.view(np.int64)), 0
    totals: dict[str, Tensor] = {}
    for name, spec in layout.items():
        size = math.prod(spec.shape)
        part = signed[place : place + size]
        if size and not _is_below(part, int(EXACT_LIMIT)):
            raise OverflowError(f"expected a total below {EXACT_LIMIT:g} steps, {name} is larger; the sum is void")
        whole = part.double() / STEPS_PER_UNIT[spec.dtype] if spec.dtype.is_floating_point else part.clone()
        totals[name] = whole.reshape(tuple(spec.shape))
        place += size
    return totals


def _convert_to_integers(name: str, flat: Tensor, sites: int) -> Tensor:
    steps = (flat * STEPS_PER_UNIT[flat.dtype]).round_() if flat.is_floating_point() else flat.long()
    if flat.numel() and not _is_below(steps, _bound(sites)):
        raise OverflowError(f"expected finite numbers below 2^52/{sites} steps, {name} has another; use a larger unit")
    return steps.to(torch.int64)


def _bound(sites: int) -> int:
    return int(EXACT_LIMIT) // max(sites, 1)


def _is_below(numbers: Tensor, bound: int) -> bool:
    """Whether all are finite and of magnitude below `bound`; false for NaN."""
    low, high = torch.aminmax(numbers)
    return bool(low > -bound) and bool(high < bound)
