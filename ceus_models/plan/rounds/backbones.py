"""The public weights of the backbones, read from the plan's files and told apart from a net's own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from torch import Tensor

from ceus_models.nets.two_stream import Branch, list_local_names, load_imagenet
from ceus_models.plan.terms.pretrained import Pretrained, Stream
from ceus_models.protocol.messages import Architecture
from ceus_models.protocol.state import State, digest
from ceus_models.runtime.errors import ExpectedError

CHANNELS: Mapping[Stream, int] = {"spatial": 1, "temporal": 2}


def read_pretrained(pretrained: Pretrained, architecture: Architecture) -> dict[str, Tensor]:
    """Read the backbones' tensors under their names in a two-stream net.

    Raises:
        ExpectedError: a file does not fit the architecture, or is not the plan's.
    """
    found: dict[str, Tensor] = {}
    for stream, stated in pretrained.items():
        depth = architecture.spatial_depth if stream == "spatial" else architecture.temporal_depth
        branch, path = Branch(depth, CHANNELS[stream], architecture), Path(stated.file)
        load_imagenet(branch, path)
        local = list_local_names(branch)
        state = {f"{stream}.{n}": t.detach() for n, t in branch.state_dict().items() if n not in local}
        backbone = select_backbone(state, stream)
        if digest(backbone) != stated.digest:
            raise ExpectedError(
                f"expected weights of digest {stated.digest}, {path} gives {digest(backbone)}; bring the plan's file, "
                f"or write this digest under pretrained.{stream} if the file is right"
            )
        found |= backbone
    return found


def select_backbone(state: State, stream: Stream) -> dict[str, Tensor]:
    """The tensors of one stream's backbone among a net's."""
    return {name: tensor for name, tensor in state.items() if name.startswith(f"{stream}.backbone.")}


def remove_backbones(state: State, streams: Iterable[Stream]) -> dict[str, Tensor]:
    """A net's tensors without the backbones of some streams."""
    prefixes = tuple(f"{stream}.backbone." for stream in streams)
    return {name: tensor for name, tensor in state.items() if not name.startswith(prefixes)}
