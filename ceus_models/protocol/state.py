"""Arithmetic on named tensors; no function changes its arguments."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable, Iterator, Mapping

import torch
from torch import Tensor

State = Mapping[str, Tensor]
"""Named tensors that can be added."""

SMALL_TENSOR = 1 << 16
"""Tensors of at most this many numbers are processed together, as each call has a fixed cost."""


def _combine(a: State, b: State, combine: Callable[[Tensor, Tensor], Tensor]) -> dict[str, Tensor]:
    if a.keys() != b.keys():
        odd = sorted(a.keys() ^ b.keys())
        raise ValueError(f"expected two states of the same names, only one of them has {', '.join(odd[:5])}")
    return {name: combine(tensor, b[name]) for name, tensor in a.items()}


def add(a: State, b: State) -> dict[str, Tensor]:
    """a + b, name by name.

    >>> add({"w": torch.tensor([1.0, 2.0])}, {"w": torch.tensor([3.0, 4.0])})
    {'w': tensor([4., 6.])}
    """
    return _combine(a, b, torch.add)


def subtract(a: State, b: State) -> dict[str, Tensor]:
    """a - b, name by name."""
    return _combine(a, b, torch.sub)


def scale(a: State, factor: float) -> dict[str, Tensor]:
    """factor · a."""
    return {name: tensor * factor for name, tensor in a.items()}


def zeros_like(a: State) -> dict[str, Tensor]:
    """Zeros of the same names, shapes and dtypes."""
    return {name: torch.zeros_like(tensor) for name, tensor in a.items()}


def iterate_pieces(tensors: Iterable[Tensor]) -> Iterator[Tensor]:
    """The same numbers in flat tensors of similar size: small ones of one dtype are joined, large ones split.

    A piece fits the processor's cache; a norm in float64 over a whole large tensor takes nine times as long. On other
    devices large tensors stay whole, as every call has its price there.
    """
    small: dict[tuple[torch.dtype, torch.device], list[Tensor]] = {}
    for tensor in tensors:
        if tensor.numel() <= SMALL_TENSOR:
            small.setdefault((tensor.dtype, tensor.device), []).append(tensor)
        elif tensor.device.type == "cpu":
            yield from torch.split(tensor.reshape(-1), SMALL_TENSOR)
        else:
            yield tensor.reshape(-1)
    yield from map(concatenate, small.values())


def concatenate(tensors: Iterable[Tensor]) -> Tensor:
    """One flat tensor with the numbers of some tensors of one dtype."""
    return torch.cat([tensor.reshape(-1) for tensor in tensors])


def split_like(flat: Tensor, like: State) -> dict[str, Tensor]:
    """Split a flat tensor into views with the names and shapes of `like`."""
    parts = torch.split(flat, [tensor.numel() for tensor in like.values()])
    return {name: part.view(tensor.shape) for (name, tensor), part in zip(like.items(), parts, strict=True)}


def norm(a: State) -> float:
    """Euclidean norm over all floating-point tensors, accumulated in float64.

    >>> norm({"a": torch.tensor([3.0]), "b": torch.tensor([4.0])})
    5.0
    """
    floats = iterate_pieces(t for t in a.values() if t.is_floating_point())
    norms = [torch.linalg.vector_norm(t, dtype=torch.float64) for t in floats]
    if any(found.device.type != "cpu" for found in norms):  # one wait for the device, not one a tensor
        norms = list(torch.stack([found.to(norms[0].device) for found in norms]).cpu())
    return math.hypot(*map(float, norms))


def is_finite(a: State) -> bool:
    """Whether all floating-point values are finite."""
    # squares of large float64 numbers overflow, so an infinite norm alone proves nothing
    floats = (t for t in a.values() if t.is_floating_point())
    return math.isfinite(norm(a)) or all(bool(torch.isfinite(t).all()) for t in floats)


def add_prefix(a: State, prefix: str) -> dict[str, Tensor]:
    """The same tensors under `prefix + name`."""
    return {prefix + name: tensor for name, tensor in a.items()}


def select_net(a: State, net: str) -> dict[str, Tensor]:
    """The parameters of one net among `"<net>|<parameter>"` names; entries `"<net>|#..."` are not parameters."""
    prefix, note = f"{net}|", f"{net}|#"
    return {name[len(prefix) :]: t for name, t in a.items() if name.startswith(prefix) and not name.startswith(note)}


def split_by_net(a: State) -> dict[str, dict[str, Tensor]]:
    """`select_net` of every net, in one pass."""
    nets: dict[str, dict[str, Tensor]] = {}
    for name, tensor in a.items():
        net, _, parameter = name.partition("|")
        own = nets.setdefault(net, {})
        if not parameter.startswith("#"):
            own[parameter] = tensor
    return nets


def digest(a: State) -> str:
    """SHA-256 over names, dtypes, shapes and bytes, in the order of names."""
    sha = hashlib.sha256()
    for name in sorted(a):
        tensor = a[name].detach().cpu().contiguous()
        sha.update(f"{name}:{tensor.dtype}:{tuple(tensor.shape)};".encode())
        sha.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return sha.hexdigest()
