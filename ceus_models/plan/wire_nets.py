"""The nets of a study as they are sent: named by net and parameter."""

from __future__ import annotations

from collections.abc import Mapping

from ceus_models.plan.progress import Progress
from ceus_models.protocol.state import State, add_prefix, digest
from ceus_models.study.taxonomy import SUBMODELS, TRUNK


def submodels(progress: Progress) -> dict[str, State]:
    """The trained sub-models, or the trunk that has them, which fusion nets use."""
    return {net: progress.nets[net] for net in (*SUBMODELS, TRUNK) if net in progress.nets}


def on_wire(nets: Mapping[str, State]) -> State:
    """Merge several nets into one state with names "<net>|<parameter>"."""
    return {name: tensor for net, state in nets.items() for name, tensor in add_prefix(state, f"{net}|").items()}


def frozen_digest(progress: Progress) -> str:
    """Digest of all sub-models; a site compares it with what it has stored."""
    return digest(on_wire(submodels(progress)))
