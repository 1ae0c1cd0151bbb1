"""Changes as whole numbers of few bits: stochastic rounding to a step (Alistarh et al. 2017, QSGD), and their packing.

Steps are powers of two, so that dividing by a step and multiplying by it are exact: what a site sends and what it keeps
add up to what it had, but for half a unit in the last place of float32.
"""

from __future__ import annotations

import torch
from torch import Tensor

Bits = int
_DTYPES = {8: torch.int8, 12: torch.uint8, 16: torch.int16}
"""Of packed numbers; two of 12 bits are three bytes."""


def find_limit(bits: Bits) -> int:
    """The largest whole number; the smallest is its negative.

    >>> find_limit(8)
    127
    """
    return int(2 ** (bits - 1)) - 1


def round_stochastically(numbers: Tensor, steps: Tensor, limit: int, generator: torch.Generator) -> Tensor:
    """Round numbers (d) to whole steps (d) int16, up or down so that the mean over draws is the number.

    Args:
        limit: of the magnitude of the whole numbers; what is beyond it is cut off.
        generator: of the draws, on the processor, so that they do not depend on the device.
    """
    scaled = numbers / steps
    low = scaled.floor()
    draws = torch.rand(len(numbers), generator=generator).to(numbers.device)
    return low.add_(draws < scaled - low).clamp_(-limit, limit).to(torch.int16)


def pack_numbers(whole: Tensor, bits: Bits) -> Tensor:
    """Whole numbers (d) int16 in as many bits: int8 (d), int16 (d), or uint8 (3 d / 2, rounded up).

    >>> pack_numbers(torch.tensor([1, -1, 5], dtype=torch.int16), 12).tolist()
    [1, 240, 255, 5, 0]
    """
    if bits != 12:
        return whole.to(_DTYPES[bits])
    even = torch.zeros(len(whole) + len(whole) % 2, dtype=torch.int32, device=whole.device)
    even[: len(whole)] = whole
    first, second = (even & 0xFFF).view(-1, 2).unbind(1)
    packed = torch.stack([first & 0xFF, first >> 8 | (second & 0xF) << 4, second >> 4], 1)
    return packed.to(torch.uint8).reshape(-1)[: count_packed(len(whole), bits)]


def unpack_numbers(packed: Tensor, bits: Bits, count: int) -> Tensor:
    """The whole numbers (count) int16 of `pack_numbers`. Raises ValueError for another dtype or length."""
    if packed.dtype != _DTYPES[bits] or tuple(packed.shape) != (count_packed(count, bits),):
        raise ValueError(
            f"expected {count} numbers of {bits} bits as {_DTYPES[bits]} ({count_packed(count, bits)}), found "
            f"{packed.dtype} {tuple(packed.shape)}"
        )
    if bits != 12:
        return packed.to(torch.int16)
    whole = torch.zeros(-(-count // 2), 3, dtype=torch.int32, device=packed.device)
    whole.view(-1)[: len(packed)] = packed
    low, middle, high = whole.unbind(1)
    pairs = torch.stack([low | (middle & 0xF) << 8, middle >> 4 | high << 4], 1).reshape(-1)[:count]
    return ((pairs ^ 0x800) - 0x800).to(torch.int16)  # the sign of 12 bits


def count_packed(count: int, bits: Bits) -> int:
    """Elements of so many packed numbers."""
    return -(-count * 3 // 2) if bits == 12 else count


def get_packed_dtype(bits: Bits) -> torch.dtype:
    """The dtype of packed numbers."""
    return _DTYPES[bits]
