"""Activations that are computed again in the backward pass instead of being kept (Chen et al. 2016)."""

from __future__ import annotations

from functools import partial

from torch import nn
from torch.utils.checkpoint import checkpoint

from ceus_models.nets.two_stream import PlainBasicBlock, PlainBottleneck

_BLOCKS = PlainBasicBlock | PlainBottleneck


def can_recompute(module: nn.Module) -> bool:
    """Whether a net has blocks whose activations can be computed again: BatchNorm would count each batch twice."""
    return bool(list_blocks(module)) and not any(isinstance(layer, nn.BatchNorm2d) for layer in module.modules())


def list_blocks(module: nn.Module) -> list[nn.Module]:
    """The residual blocks of a net."""
    return [layer for layer in module.modules() if isinstance(layer, _BLOCKS)]


def recompute_activations(module: nn.Module, wanted: bool) -> None:
    """Keep only the inputs of a net's residual blocks in training, or all activations as usual; numbers stay."""
    for block in list_blocks(module):
        recomputed = "forward" in vars(block)
        if wanted and not recomputed:
            # no draws happen within a block, so the random state need not be kept
            kept = partial(checkpoint, block.forward, use_reentrant=False, preserve_rng_state=False)
            block.__dict__["forward"] = kept
        elif recomputed and not wanted:
            del block.__dict__["forward"]
