"""Grad-CAM (Selvaraju et al., ICCV 2017): the regions of key frames and flow maps that raise a net's score.

The feature maps of a convolution are weighted by the mean gradient of the score over each map, added, and cut at 0.
The score is the final logit, so a branch with little weight shows little. The maps are those of the backbone's last
layer with at least MIN_CELLS a side. Only the layers after the maps are differentiated, which is fast.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from ceus_models.nets.two_stream import Backbone, Output, TwoStream, prepare_inputs
from ceus_models.protocol.messages import Normaliser
from ceus_models.study.sample import Sample

F32 = npt.NDArray[np.float32]
MIN_CELLS = 3
_LAYERS = ("layer4", "layer3", "layer2", "layer1")
_STRIDES = (32, 16, 8, 4)


class Cam(NamedTuple):
    """Grad-CAM of one branch: `maps` (t rows columns) ≥ 0 in units of the logit, from the feature maps of `layer`."""

    maps: F32
    layer: str


def grad_cam(module: TwoStream, sample: Sample, normaliser: Normaliser, output: int = 0) -> tuple[Cam, Cam]:
    """Grad-CAM of the spatial and the temporal branch for one score of a net.

    Args:
        module: the net.
        sample: the lesion.
        normaliser: of the recipe.
        output: index of the score, 0 for a binary net.
    """
    device = next(module.parameters()).device
    frames, flow = prepare_inputs([sample], normaliser, device)
    backbones = (module.spatial.backbone, module.temporal.backbone)
    layers = [select_layer(images.shape[-1]) for images in (frames, flow)]
    module.eval()
    # cuDNN differentiates an LSTM in training mode only
    with _freeze(module), torch.backends.cudnn.flags(enabled=False), torch.enable_grad():
        with _capture_maps(backbones, layers) as leaves:
            result: Output = module(frames, flow)
        gradients = torch.autograd.grad(result.final[0, output], leaves)
    maps = [compute_cam(leaf.detach(), gradient) for leaf, gradient in zip(leaves, gradients, strict=True)]
    return Cam(maps[0], layers[0]), Cam(maps[1], layers[1])


def select_layer(side: int) -> str:
    """The deepest layer whose maps have MIN_CELLS a side for an image of `side` px.

    >>> select_layer(112), select_layer(32)
    ('layer4', 'layer2')
    """
    fine = (layer for layer, stride in zip(_LAYERS, _STRIDES, strict=True) if -(-side // stride) >= MIN_CELLS)
    return next(fine, _LAYERS[-1])


def compute_cam(maps: Tensor, gradients: Tensor) -> F32:
    """Grad-CAM (t h w) from feature maps and their gradients (t c h w)."""
    weights = gradients.mean(dim=(2, 3), keepdim=True)
    return torch.relu((weights * maps).sum(dim=1)).to("cpu", torch.float32).numpy()


@contextmanager
def _capture_maps(backbones: Sequence[Backbone], layers: Sequence[str]) -> Iterator[list[Tensor]]:
    """Collect the layers' maps in the order of the forward pass, each detached from the layers before it."""
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
def _freeze(module: nn.Module) -> Iterator[None]:
    """Turn off the gradients of all parameters for a while, so that nothing before the maps is recorded."""
    trainable = [parameter for parameter in module.parameters() if parameter.requires_grad]
    try:
        for parameter in trainable:
            parameter.requires_grad_(False)
        yield
    finally:
        for parameter in trainable:
            parameter.requires_grad_(True)
