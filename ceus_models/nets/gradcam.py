"""Grad-CAM: where in the key frames and flow maps a two-stream net found what speaks for its answer.

Selvaraju et al., ICCV 2017: the maps of a convolution, weighted by the mean gradient of the score over each map,
summed, and cut at 0. The score is the final logit, so a branch that got little weight shows little. The maps are
those of the backbone's last layer; where crops are so small that it has fewer than LEAST_CELLS a side, those of the
last layer that has as many. Only what follows the maps is differentiated: it costs little beside the forward pass.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from ceus_models.nets.two_stream import Backbone, Output, TwoStream, prepare
from ceus_models.protocol.messages import Normaliser
from ceus_models.study.sample import Sample

F32 = npt.NDArray[np.float32]
LEAST_CELLS = 3
_LAYERS = ("layer4", "layer3", "layer2", "layer1")
_STRIDES = (32, 16, 8, 4)


class Cam(NamedTuple):
    """Of one branch. maps f32 (t rows columns): 0 and above, in units of the logit · layer: whose maps they are."""

    maps: F32
    layer: str


def grad_cam(module: TwoStream, sample: Sample, normaliser: Normaliser, output: int = 0) -> tuple[Cam, Cam]:
    """The spatial and the temporal branch's maps, a cell a pixel of the layer, for one score of a net.

    output: index of the score, 0 for a binary net.
    """
    device = next(module.parameters()).device
    frames, flow = prepare([sample], normaliser, device)
    backbones = (module.spatial.backbone, module.temporal.backbone)
    layers = [layer_for(images.shape[-1]) for images in (frames, flow)]
    module.eval()
    # cuDNN differentiates an LSTM in training mode only
    with _frozen(module), torch.backends.cudnn.flags(enabled=False), torch.enable_grad():
        with _leaves(backbones, layers) as leaves:
            said: Output = module(frames, flow)
        gradients = torch.autograd.grad(said.final[0, output], leaves)
    maps = [cam_of(leaf.detach(), gradient) for leaf, gradient in zip(leaves, gradients, strict=True)]
    return Cam(maps[0], layers[0]), Cam(maps[1], layers[1])


def layer_for(side: int) -> str:
    """The deepest layer whose maps of an image of `side` px have LEAST_CELLS a side."""
    fine = (layer for layer, stride in zip(_LAYERS, _STRIDES, strict=True) if -(-side // stride) >= LEAST_CELLS)
    return next(fine, _LAYERS[-1])


def cam_of(maps: Tensor, gradients: Tensor) -> F32:
    """maps, gradients (t c h w) → (t h w)."""
    weights = gradients.mean(dim=(2, 3), keepdim=True)
    return torch.relu((weights * maps).sum(dim=1)).to("cpu", torch.float32).numpy()


@contextmanager
def _leaves(backbones: Sequence[Backbone], layers: Sequence[str]) -> Iterator[list[Tensor]]:
    """Collects the layers' maps in the order of the forward pass, each cut off from what came before."""
    leaves: list[Tensor] = []

    def cut(_module: nn.Module, _inputs: object, maps: Tensor) -> Tensor:
        leaves.append(maps.detach().requires_grad_())
        return leaves[-1]

    with ExitStack() as hooks:
        for backbone, layer in zip(backbones, layers, strict=True):
            handle = backbone.get_submodule(layer).register_forward_hook(cut)
            hooks.callback(handle.remove)
        yield leaves


@contextmanager
def _frozen(module: nn.Module) -> Iterator[None]:
    """No parameter asks for a gradient, so that nothing before the maps is recorded; as before afterwards."""
    asking = [parameter for parameter in module.parameters() if parameter.requires_grad]
    try:
        for parameter in asking:
            parameter.requires_grad_(False)
        yield
    finally:
        for parameter in asking:
            parameter.requires_grad_(True)
