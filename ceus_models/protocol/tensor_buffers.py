"""The tensors of a message as entries of its header and plain buffers; see `ceus_models.protocol.encoding`."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

import torch
from torch import Tensor

from ceus_models.protocol.state import SMALL_TENSOR, State

MAX_TEXT = 256
MAX_DIMENSIONS = 8
MAX_ELEMENTS = 1 << 48
Buffer = bytes | bytearray | memoryview
DTYPES = {
    "BF16": torch.bfloat16,
    "F32": torch.float32,
    "F64": torch.float64,
    "I8": torch.int8,
    "I16": torch.int16,
    "I32": torch.int32,
    "I64": torch.int64,
    "U8": torch.uint8,
}
_NAMES = {dtype: name for name, dtype in DTYPES.items()}


def describe_tensors(tensors: State) -> dict[str, Any]:
    """The header's entry of each tensor: dtype, shape and place. Raises ValueError for a dtype without an encoding."""
    entries: dict[str, Any] = {}
    place = 0
    for name, tensor in tensors.items():
        if tensor.dtype not in _NAMES:
            raise ValueError(
                f"expected a dtype of {', '.join(map(str, _NAMES))}, {name} has {tensor.dtype}; convert it first"
            )
        end = place + tensor.numel() * tensor.itemsize
        entries[name] = {"dtype": _NAMES[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [place, end]}
        place = end
    return entries


def iterate_buffers(tensors: Iterable[Tensor]) -> Iterator[Buffer]:
    """The tensors' bytes in order; small neighbours are joined, as a net has about a hundred of them."""
    for (_, small), run in groupby(tensors, lambda t: (t.dtype, t.numel() <= SMALL_TENSOR)):
        flat = [tensor.detach().reshape(-1) for tensor in run]
        for part in [torch.cat(flat)] if small else flat:
            yield part.cpu().view(torch.uint8).numpy().data


def parse_tensors(header: Mapping[str, Any], data: memoryview) -> dict[str, Tensor]:
    """The tensors of a header, views of `data`. Raises ValueError unless each byte belongs to one of them, in order."""
    entries: list[tuple[str, torch.dtype, list[int]]] = []
    place = 0
    for name, entry in header.items():
        if len(name) > MAX_TEXT or not name.isprintable():
            raise ValueError(f"expected printable names of at most {MAX_TEXT} characters, found {name[:40]}")
        try:
            dtype = DTYPES[entry["dtype"]]
            shape = _check_integers(entry["shape"], MAX_DIMENSIONS)
            begin, end = _check_integers(entry["data_offsets"], 2)
        except (KeyError, TypeError, ValueError):
            raise ValueError(f"{name}: dtype, shape or data_offsets is missing or not of this protocol") from None
        if math.prod(max(n, 1) for n in shape) > MAX_ELEMENTS:
            raise ValueError(f"{name}: its bytes do not match its shape, which is larger than the limit")
        if begin != place or end - begin != math.prod(shape) * dtype.itemsize or end > len(data):
            raise ValueError(f"{name}: its bytes do not match its shape {shape} and dtype {entry['dtype']}")
        entries.append((name, dtype, shape))
        place = end
    if place != len(data):
        raise ValueError(f"expected every byte in a tensor, {len(data) - place} bytes belong to none")
    return dict(_iterate_views(entries, data))


def _check_integers(values: Any, most: int) -> list[int]:
    """Return a list of at most `most` plain integers. Raises ValueError for anything else."""
    if not isinstance(values, list) or len(values) > most:
        raise ValueError
    if any(type(n) is not int or not 0 <= n <= MAX_ELEMENTS for n in values):
        raise ValueError
    return values


def _iterate_views(
    entries: Sequence[tuple[str, torch.dtype, list[int]]], data: memoryview
) -> Iterator[tuple[str, Tensor]]:
    """Make neighbours of one dtype views of one tensor, ten times as fast as one call each."""
    place = 0
    for dtype, group in groupby(entries, lambda entry: entry[1]):
        run = list(group)
        counts = [math.prod(shape) for _, _, shape in run]
        end = place + sum(counts) * dtype.itemsize
        parts = torch.split(_build_flat_tensor(data[place:end], dtype), counts)
        yield from ((name, part.view(shape)) for (name, _, shape), part in zip(run, parts, strict=True))
        place = end


def _build_flat_tensor(data: memoryview, dtype: torch.dtype) -> Tensor:
    if not len(data):
        return torch.zeros(0, dtype=dtype)
    if data.readonly:  # torch has no read-only tensors, so bytes are copied once
        data = memoryview(bytearray(data))
    return torch.frombuffer(data, dtype=dtype)
