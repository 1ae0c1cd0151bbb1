"""Any net by its name: build it, start it, fill it, ask it, and know its right answers.

Modules are kept and refilled in place: a round of 36 nets does one or two steps with each, so building a module
for each would cost as much as training it.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from ceus_models.nets.fusion import FusionMLP, width_of
from ceus_models.nets.two_stream import Output, TwoStream, local_names, prepare
from ceus_models.protocol.messages import Recipe
from ceus_models.protocol.state import State
from ceus_models.runtime.seeds import seed_of
from ceus_models.study.sample import Sample
from ceus_models.study.taxonomy import (
    BIOMARKER_NETS,
    DISEASE_NETS,
    DISEASE_TYPES,
    FUSION_NETS,
    LESION_TYPES,
    STRATEGY_A,
    outputs_of,
)

KEPT_MODULES = 8
PREDICT_BATCH = 16
MOMENTUM = 0.1
"""torch's own for BatchNorm."""
CPU = torch.device("cpu")


def build(net: str, recipe: Recipe, seed: int) -> nn.Module:
    """The named net with its initial weights, which depend on (seed, net) alone.

    Raises KeyError for an unknown name.
    """
    module = _empty(net, recipe, CPU)
    initialise(module, seed_of(seed, "init", net))
    return module


def initial_state(net: str, recipe: Recipe, seed: int) -> dict[str, Tensor]:
    """The initial weights of a net without what stays at the sites; names `<parameter>`."""
    kept = _kept(net, recipe, CPU)
    initialise(kept.module, seed_of(seed, "init", net))
    return {name: t.detach().clone(memory_format=torch.contiguous_format) for name, t in kept.shared()}


@torch.no_grad()
def initialise(module: nn.Module, seed: int) -> None:
    """Fill every tensor of a module from its own generator; the global random state stays untouched.

    Convolutions as in torchvision's ResNet (He et al. 2015, fan-out); forget gates start open; the weighting of
    the branches starts at one half.
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
    """Scale 1, shift 0 and, for BatchNorm, no statistics yet."""
    layer.weight.fill_(1)
    layer.bias.zero_()
    if isinstance(layer, nn.BatchNorm2d):
        layer.reset_running_stats()


@dataclass(frozen=True)
class Loaded:
    """A module that is kept from task to task, and its tensors by name (parameters and buffers)."""

    module: nn.Module
    tensors: Mapping[str, Tensor]
    local: frozenset[str]

    def shared(self) -> Iterator[tuple[str, Tensor]]:
        """The tensors that travel."""
        return ((name, t) for name, t in self.tensors.items() if name not in self.local)


_KEPT = threading.local()


def loaded(net: str, recipe: Recipe, state: State, local: State | None, device: torch.device) -> Loaded:
    """The kept module of this net's shape, filled with `state` (what travels) and `local` (what stays, or fresh).

    Valid until the next call in this thread. Raises ValueError when names or shapes are not the net's.
    """
    _check_fit(net, recipe, state, device)
    kept = _kept(net, recipe, device)
    with torch.no_grad():
        for name, tensor in state.items():
            kept.tensors[name].copy_(tensor)
    _settle(kept, local)
    return kept


class Answers(NamedTuple):
    """What a two-stream net says of n lesions. final, spatial, temporal (n k): probabilities, of both branches and of
    each, k = 1 for a binary net · spatial_weight (n): the spatial branch's share in the final one, 0-1.
    """

    final: npt.NDArray[np.float64]
    spatial: npt.NDArray[np.float64]
    temporal: npt.NDArray[np.float64]
    spatial_weight: npt.NDArray[np.float64]


def scores(module: nn.Module, samples: Sequence[Sample], recipe: Recipe) -> npt.NDArray[np.float64]:
    """Probabilities of a two-stream net for some lesions: (n k), k = 1 for a binary net."""
    return answers(module, samples, recipe).final


def answers(module: nn.Module, samples: Sequence[Sample], recipe: Recipe) -> Answers:
    """The same with what each branch says. Raises ValueError where there are no lesions."""
    if not samples:
        raise ValueError("probabilities of no lesions were asked for")
    device = next(module.parameters()).device
    module.eval()
    batches = []
    with torch.inference_mode():
        for start in range(0, len(samples), PREDICT_BATCH):
            frames, flow = prepare(samples[start : start + PREDICT_BATCH], recipe.normaliser, device)
            output: Output = module(frames, flow)
            by_part = map(probabilities, (output.final, output.spatial, output.temporal))
            batches.append((*by_part, output.branch_weight.to(CPU, torch.float64).numpy()))
    return Answers(*map(np.concatenate, zip(*batches, strict=True)))


def measure_statistics(module: nn.Module, samples: Sequence[Sample], recipe: Recipe) -> None:
    """Fill the BatchNorm statistics with the plain averages over one pass through `samples`, in place.

    This is how a site that never trained a net, or a new hospital, gets statistics of its own scanner.
    """
    layers = [layer for layer in module.modules() if isinstance(layer, nn.BatchNorm2d)]
    device = next(module.parameters()).device
    module.train()
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None  # the average over batches in place of the decaying one
    with torch.no_grad():
        for start in range(0, len(samples), PREDICT_BATCH):
            module(*prepare(samples[start : start + PREDICT_BATCH], recipe.normaliser, device))
    for layer in layers:
        layer.momentum = MOMENTUM
    module.eval()


def probabilities(logits: Tensor) -> npt.NDArray[np.float64]:
    """Logits (n 1) or (n k) → probabilities of the same shape in float64, on the CPU."""
    wide = logits.detach().to(CPU, torch.float64)
    return np.asarray((torch.sigmoid(wide) if wide.shape[1] == 1 else torch.softmax(wide, dim=1)).numpy())


def target_of(net: str, sample: Sample) -> int | None:
    """The right class of a lesion for a net; None: no label, not tested, or not one of its types."""
    if net in BIOMARKER_NETS:
        value = float(sample.biomarkers[BIOMARKER_NETS.index(net)])
        return None if np.isnan(value) else int(value)
    if net in FUSION_NETS:
        return LESION_TYPES.index(sample.label) if sample.label in LESION_TYPES else None
    if sample.label not in DISEASE_TYPES:
        return None
    index = DISEASE_TYPES.index(sample.label)
    return index if net == STRATEGY_A else int(DISEASE_NETS.index(net) == index)


def _check_fit(net: str, recipe: Recipe, state: State, device: torch.device) -> None:
    """Raises ValueError where a state is not the net's, before a net of any size is made for it: a recipe of a few
    bytes can ask for more memory than there is, a state cannot.
    """
    key, shelf = _key(net, recipe, device), _shelf()
    if key in shelf:
        expected = {name: t.shape for name, t in shelf[key].shared()}
    else:
        drawn = _drawn(net, recipe)
        local = local_names(drawn)
        expected = {name: t.shape for name, t in drawn.state_dict().items() if name not in local}
    given = {name: t.shape for name, t in state.items()}
    if expected != given:
        odd = sorted(name for name in expected.keys() | given.keys() if expected.get(name) != given.get(name))
        raise ValueError(f"{net}: {len(odd)} tensors do not fit the recipe's net, the first is {odd[0]}")


def _drawn(net: str, recipe: Recipe) -> nn.Module:
    """The module on the meta device: shapes without memory, and no random numbers are drawn."""
    with torch.device("meta"):
        if net in FUSION_NETS:
            return FusionMLP(width_of(net, recipe), recipe.fusion_hidden)
        return TwoStream(recipe.architecture, outputs_of(net))


def _empty(net: str, recipe: Recipe, device: torch.device) -> nn.Module:
    """The module without values."""
    # channels_last halves the time of a step on a CPU at the demo's sizes, and suits tensor cores as well
    return _drawn(net, recipe).to_empty(device=device).to(memory_format=torch.channels_last)


@torch.no_grad()
def _settle(kept: Loaded, local: State | None) -> None:
    """BatchNorm as this site left it, or as initialised; never as the last site left it."""
    if local is not None:
        for name in kept.local:
            kept.tensors[name].copy_(local[name])
        return
    for layer in kept.module.modules():
        if isinstance(layer, nn.BatchNorm2d):
            reset_norm(layer)


def _key(net: str, recipe: Recipe, device: torch.device) -> object:
    """What a module's shape and place depend on."""
    shape = (width_of(net, recipe), recipe.fusion_hidden) if net in FUSION_NETS else recipe.architecture
    return shape, outputs_of(net), str(device)


def _shelf() -> OrderedDict[object, Loaded]:
    shelf: OrderedDict[object, Loaded] = _KEPT.__dict__.setdefault("shelf", OrderedDict())
    return shelf


def _kept(net: str, recipe: Recipe, device: torch.device) -> Loaded:
    key, shelf = _key(net, recipe, device), _shelf()
    if key not in shelf:
        module = _empty(net, recipe, device)
        initialise(module, 0)
        shelf[key] = Loaded(module, dict(module.state_dict(keep_vars=True)), local_names(module))
    shelf.move_to_end(key)
    while len(shelf) > KEPT_MODULES:
        shelf.popitem(last=False)
    return shelf[key]
