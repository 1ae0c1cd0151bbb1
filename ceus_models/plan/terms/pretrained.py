"""Public weights of the backbones, such as ImageNet's, in place of those drawn from the study's seed.

The plan states the digest of the tensors as they are loaded. A site compares what the first task brings with it, so
the coordinator cannot send others; the file itself stays with the coordinator.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

Stream = Literal["spatial", "temporal"]


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class PretrainedBackbone:
    """The weights of one stream's backbone.

    Args:
        file: safetensors with torchvision's names; a relative path begins at the current folder.
        digest: SHA-256 of the tensors as loaded (`ceus_models.protocol.state.digest`).
    """

    file: str
    digest: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


Pretrained = Mapping[Stream, PretrainedBackbone]
