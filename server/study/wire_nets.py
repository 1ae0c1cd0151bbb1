"""The nets of a study as they are sent: named by net and parameter."""

from __future__ import annotations

from collections.abc import Mapping

from ceus_models.protocol.state import State, add_prefix, digest
from ceus_models.study.taxonomy import SUBMODELS
from server.study.progress import Progress


def submodels(progress: Progress) -> dict[str, State]:
    """The nets that fusion nets stand on, as far as they exist."""
    return {net: progress.nets[net] for net in SUBMODELS if net in progress.nets}


def on_wire(nets: Mapping[str, State]) -> State:
    """Several nets as one state, named "<net>|<parameter>"."""
    return {name: tensor for net, state in nets.items() for name, tensor in add_prefix(state, f"{net}|").items()}


def frozen_digest(progress: Progress) -> str:
    """Digest of all sub-models in their wire names; a site recognises by it what it has already."""
    return digest(on_wire(submodels(progress)))
