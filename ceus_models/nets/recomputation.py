"""Activations that are computed again in the backward pass instead of being kept (Chen et al. 2016)."""

from __future__ import annotations

from functools import partial

from torch import nn
from torch.utils.checkpoint import checkpoint

from ceus_models.nets.two_stream import PlainBasicBlock, PlainBottleneck

_BLOCKS = PlainBasicBlock | PlainBottleneck


def can_recompute(module: nn.Module) -> bool:
    """Whether a net has blocks whose activations can be computed again: BatchNorm would count each batch twice."""
    layers = list(module.modules())
    return any(isinstance(layer, _BLOCKS) for layer in layers) and not any(
        isinstance(layer, nn.BatchNorm2d) for layer in layers
    )


def recompute_activations(module: nn.Module, wanted: bool) -> None:
    """Keep only the inputs of a net's residual blocks in training, or all activations as usual; numbers stay."""
    for block in module.modules():
        if not isinstance(block, _BLOCKS):
            continue
        recomputed = "forward" in vars(block)
        if wanted and not recomputed:
            # no draws happen within a block, so the random state need not be kept
            kept = partial(checkpoint, block.forward, use_reentrant=False, preserve_rng_state=False)
            block.__dict__["forward"] = kept
        elif recomputed and not wanted:
            del block.__dict__["forward"]
