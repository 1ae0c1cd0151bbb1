"""All arithmetic on named tensors, in one place. Nothing here changes its arguments."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

State = Mapping[str, Tensor]
"""Named tensors that are meant to be added."""


def _paired(a: State, b: State, combine: Callable[[Tensor, Tensor], Tensor]) -> dict[str, Tensor]:
    if a.keys() != b.keys():
        odd = sorted(a.keys() ^ b.keys())
        raise ValueError(f"two states must have the same names; only one of them has {', '.join(odd[:5])}")
    return {name: combine(tensor, b[name]) for name, tensor in a.items()}


def add(a: State, b: State) -> dict[str, Tensor]:
    """a + b, name by name."""
    return _paired(a, b, torch.add)


def subtract(a: State, b: State) -> dict[str, Tensor]:
    """a - b, name by name."""
    return _paired(a, b, torch.sub)


def scale(a: State, factor: float) -> dict[str, Tensor]:
    """factor · a."""
    return {name: tensor * factor for name, tensor in a.items()}


def zeros_like(a: State) -> dict[str, Tensor]:
    """Zeros of the same names, shapes and dtypes."""
    return {name: torch.zeros_like(tensor) for name, tensor in a.items()}


def norm(a: State) -> float:
    """Euclidean norm over all floating tensors together, accumulated in float64."""
    squares = [
        float(torch.linalg.vector_norm(t, dtype=torch.float64)) ** 2 for t in a.values() if t.is_floating_point()
    ]
    return float(sum(squares) ** 0.5)


def finite(a: State) -> bool:
    """Whether no floating tensor holds NaN or infinity."""
    return all(bool(torch.isfinite(t).all()) for t in a.values() if t.is_floating_point())


def prefixed(a: State, prefix: str) -> dict[str, Tensor]:
    """The same tensors under `prefix + name`."""
    return {prefix + name: tensor for name, tensor in a.items()}


def under(a: State, prefix: str) -> dict[str, Tensor]:
    """The tensors whose name starts with `prefix`, without it."""
    return {name[len(prefix) :]: tensor for name, tensor in a.items() if name.startswith(prefix)}


def net_state(a: State, net: str) -> dict[str, Tensor]:
    """The parameters of one net among `"<net>|<parameter>"` names; entries `"<net>|#..."` are not parameters."""
    return {name: t for name, t in under(a, f"{net}|").items() if not name.startswith("#")}


def digest(a: State) -> str:
    """SHA-256 over names, dtypes, shapes and bytes, in the order of names."""
    sha = hashlib.sha256()
    for name in sorted(a):
        tensor = a[name].detach().cpu().contiguous()
        sha.update(f"{name}:{tensor.dtype}:{tuple(tensor.shape)};".encode())
        sha.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return sha.hexdigest()
