"""How many numbers of a net travel, counted from the plan's architecture: nothing is built."""

from __future__ import annotations

from ceus_models.nets.heads import list_outputs
from ceus_models.protocol.messages import Architecture
from ceus_models.study.taxonomy import BIOMARKERS, CLINICAL, DISEASE_TYPES, FUSION_NETS, LESION_TYPES, count_outputs

_BLOCKS = {10: (1, 1, 1, 1), 18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3)}
_BOTTLENECK = 50
_THUMBNAIL = 16  # cells of an image's brightness (ceus_models.nets.two_stream.THUMBNAIL squared)


def count_weights(net: str, architecture: Architecture, fusion_hidden: int) -> int:
    """The numbers of a net that travel; of a fusion net with clinical inputs the most, with all variables selected."""
    if net in FUSION_NETS:
        return _count_fusion(net, fusion_hidden)
    outputs, heads, summary = count_outputs(net), len(list_outputs(net)), 2 * architecture.hidden
    branches = sum(
        _count_branch(depth, channels, architecture)
        for depth, channels in ((architecture.spatial_depth, 1), (architecture.temporal_depth, 2))
    )
    return branches + 2 * (summary + 1) * outputs + (2 * summary + 1) * heads


def _count_fusion(net: str, hidden: int) -> int:
    sizes = {"D": len(DISEASE_TYPES), "B": len(BIOMARKERS), "C": 2 * len(CLINICAL)}
    inputs, types = sum(sizes[part] for part in net.partition("/")[2]), len(LESION_TYPES)
    return (inputs + 1) * hidden + (hidden + 1) * types if hidden else (inputs + 1) * types


def _count_branch(depth: int, channels: int, architecture: Architecture) -> int:
    hidden = architecture.hidden
    backbone, features = _count_backbone(depth, channels, architecture)
    inputs = features + channels * _THUMBNAIL
    return backbone + 4 * hidden * (inputs + hidden + 2)


def _count_backbone(depth: int, channels: int, architecture: Architecture) -> tuple[int, int]:
    """The numbers of a ResNet, and its features."""
    norm = 2 if architecture.norm == "group" else 0  # scale and shift a channel; those of BatchNorm stay at the site
    width, grown = architecture.width, 4 if depth == _BOTTLENECK else 1
    total, inputs = 49 * channels * width + norm * width, width
    for layer, blocks in enumerate(_BLOCKS[depth]):
        planes = width << layer
        for block in range(blocks):
            total += _count_block(inputs, planes, grown, norm)
            if block == 0 and (layer or inputs != planes * grown):
                total += inputs * planes * grown + norm * planes * grown  # the shortcut's own convolution
            inputs = planes * grown
    return total, inputs


def _count_block(inputs: int, planes: int, grown: int, norm: int) -> int:
    if grown == 1:
        return 9 * planes * (inputs + planes) + 2 * norm * planes
    return planes * (inputs + 9 * planes + 4 * planes) + norm * planes * (1 + 1 + 4)
