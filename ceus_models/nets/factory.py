"""Build, initialise, load and run any net by its name.

Modules are cached and refilled in place: a round of 36 nets does one or two steps with each, so building each module
anew would take as long as training it.
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
    """Build a net with initial weights that depend on (seed, net) alone.

    Raises:
        KeyError: no net has this name.
    """
    module = _empty(net, recipe, CPU)
    initialise(module, seed_of(seed, "init", net))
    return module


def initial_state(net: str, recipe: Recipe, seed: int) -> dict[str, Tensor]:
    """Draw the initial weights of a net, without the tensors that stay at the sites; names `<parameter>`."""
    kept = _kept(net, recipe, CPU)
    initialise(kept.module, seed_of(seed, "init", net))
    return {name: t.detach().clone(memory_format=torch.contiguous_format) for name, t in kept.shared()}


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


@dataclass(frozen=True)
class Loaded:
    """A cached module.

    Args:
        module: the net.
        tensors: its parameters and buffers by name.
        local: names of those that stay at the site.
    """

    module: nn.Module
    tensors: Mapping[str, Tensor]
    local: frozenset[str]

    def shared(self) -> Iterator[tuple[str, Tensor]]:
        """Name and tensor of all that is sent to the coordinator."""
        return ((name, t) for name, t in self.tensors.items() if name not in self.local)


_KEPT = threading.local()


def loaded(net: str, recipe: Recipe, state: State, local: State | None, device: torch.device) -> Loaded:
    """Fill the cached module of this net's shape; valid until the next call in this thread.

    Args:
        net: name of the net.
        recipe: of the study.
        state: the shared tensors.
        local: the tensors of this site, None = as initialised.
        device: where the module is.

    Raises:
        ValueError: names or shapes of `state` are not those of the net.
    """
    _check_fit(net, recipe, state, device)
    kept = _kept(net, recipe, device)
    with torch.no_grad():
        for name, tensor in state.items():
            kept.tensors[name].copy_(tensor)
    _settle(kept, local)
    return kept


class Answers(NamedTuple):
    """Predictions of a two-stream net for n lesions.

    Args:
        final: probabilities (n k) of the net, k = 1 for a binary net.
        spatial: probabilities (n k) of the spatial branch.
        temporal: probabilities (n k) of the temporal branch.
        spatial_weight: (n) weight of the spatial branch in the final probability, 0-1.
    """

    final: npt.NDArray[np.float64]
    spatial: npt.NDArray[np.float64]
    temporal: npt.NDArray[np.float64]
    spatial_weight: npt.NDArray[np.float64]


def scores(module: nn.Module, samples: Sequence[Sample], recipe: Recipe) -> npt.NDArray[np.float64]:
    """Probabilities (n k) of a two-stream net, k = 1 for a binary net. Raises ValueError as `answers`."""
    return answers(module, samples, recipe).final


def answers(module: nn.Module, samples: Sequence[Sample], recipe: Recipe) -> Answers:
    """Predict some lesions with a two-stream net and both its branches. Raises ValueError where `samples` is empty."""
    if not samples:
        raise ValueError("expected at least one lesion, found none")
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
    """Set the BatchNorm statistics to their averages over one pass through `samples`, in place.

    A site that never trained the net, or a new hospital, gets the statistics of its own scanners this way (AdaBN, Li
    et al. 2016).
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
    """Sigmoid of logits (n 1) or softmax of logits (n k), as float64 on the CPU.

    >>> probabilities(torch.tensor([[0.0], [2.0]])).round(3).tolist()
    [[0.5], [0.881]]
    """
    wide = logits.detach().to(CPU, torch.float64)
    return np.asarray((torch.sigmoid(wide) if wide.shape[1] == 1 else torch.softmax(wide, dim=1)).numpy())


def target_of(net: str, sample: Sample) -> int | None:
    """The target class of a lesion for a net, None without a label or test result, or for a type that it lacks."""
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
    """Raise ValueError where names or shapes of a state are not the net's.

    This is checked before memory is allocated: a recipe of a few bytes can describe a net of any size, a state cannot.
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
        raise ValueError(f"expected the tensors of {net} by its recipe, {len(odd)} do not fit, the first is {odd[0]}")


def _drawn(net: str, recipe: Recipe) -> nn.Module:
    """Build the module on the meta device: shapes without memory and without random numbers."""
    with torch.device("meta"):
        if net in FUSION_NETS:
            return FusionMLP(width_of(net, recipe), recipe.fusion_hidden)
        return TwoStream(recipe.architecture, outputs_of(net))


def _empty(net: str, recipe: Recipe, device: torch.device) -> nn.Module:
    """Build the module with uninitialised tensors."""
    # channels_last halves the time of a step on a CPU at the demo's sizes, and suits tensor cores as well
    return _drawn(net, recipe).to_empty(device=device).to(memory_format=torch.channels_last)


@torch.no_grad()
def _settle(kept: Loaded, local: State | None) -> None:
    """Load this site's BatchNorm tensors, or reset them: those of another site must not remain."""
    if local is not None:
        for name in kept.local:
            kept.tensors[name].copy_(local[name])
        return
    for layer in kept.module.modules():
        if isinstance(layer, nn.BatchNorm2d):
            reset_norm(layer)


def _key(net: str, recipe: Recipe, device: torch.device) -> object:
    """The cache key: all that a module's shape and device depend on."""
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
