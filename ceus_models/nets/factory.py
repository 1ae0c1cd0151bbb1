"""Build and initialise any net by its name."""

from __future__ import annotations

import torch
from torch import nn

from ceus_models.nets.fusion import FusionMLP, count_inputs
from ceus_models.nets.heads import list_outputs
from ceus_models.nets.two_stream import TwoStream
from ceus_models.protocol.messages import Recipe
from ceus_models.runtime.seeds import derive_seed
from ceus_models.study.taxonomy import FUSION_NETS, count_outputs

CPU = torch.device("cpu")


def build_net(net: str, recipe: Recipe, seed: int) -> nn.Module:
    """Build a net with initial weights that depend on (seed, net) alone.

    Raises:
        KeyError: no net has this name.
    """
    module = build_empty(net, recipe, CPU)
    initialise(module, derive_seed(seed, "init", net))
    return module


def build_on_meta(net: str, recipe: Recipe) -> nn.Module:
    """Build the module on the meta device: shapes without memory and without random numbers."""
    with torch.device("meta"):
        if net in FUSION_NETS:
            return FusionMLP(count_inputs(net, recipe), recipe.fusion_hidden)
        return TwoStream(recipe.architecture, count_outputs(net), len(list_outputs(net)))


def build_empty(net: str, recipe: Recipe, device: torch.device) -> nn.Module:
    """Build the module with uninitialised tensors."""
    # channels_last halves the time of a step on a CPU at the demo's sizes, and suits tensor cores as well
    return build_on_meta(net, recipe).to_empty(device=device).to(memory_format=torch.channels_last)


@torch.no_grad()
def initialise(module: nn.Module, seed: int) -> None:
    """Initialise every tensor of a module from `seed`; torch's global random state is not used.

    Convolutions as in torchvision's ResNet (He et al. 2015, fan-out); the bias of forget gates is 1 (Jozefowicz et al.
    2015); the two branches start with equal weight.
    """
    generator = torch.Generator().manual_seed(seed)
    for name, layer in module.named_modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu", generator=generator)
        elif isinstance(layer, nn.Linear | nn.LSTM):
            fan_in = layer.in_features if isinstance(layer, nn.Linear) else layer.hidden_size
            for parameter in layer.parameters():
                nn.init.uniform_(parameter, -(fan_in**-0.5), fan_in**-0.5, generator=generator)
        if isinstance(layer, nn.LSTM):
            layer.get_parameter("bias_ih_l0")[layer.hidden_size : 2 * layer.hidden_size] = 1.0
        if isinstance(layer, nn.GroupNorm | nn.BatchNorm2d):
            reset_norm(layer)
        if name == "weighting":
            for parameter in layer.parameters():
                parameter.zero_()


@torch.no_grad()
def reset_norm(layer: nn.GroupNorm | nn.BatchNorm2d) -> None:
    """Set scale 1 and shift 0, and clear the statistics of BatchNorm."""
    layer.weight.fill_(1)
    layer.bias.zero_()
    if isinstance(layer, nn.BatchNorm2d):
        layer.reset_running_stats()
