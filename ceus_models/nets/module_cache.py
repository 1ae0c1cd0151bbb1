"""A cache of modules that are refilled in place: building each of 36 nets anew takes as long as training it."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ceus_models.nets.factory import CPU, build_empty, build_on_meta, initialise, reset_norm
from ceus_models.nets.fusion import count_inputs
from ceus_models.nets.two_stream import list_local_names
from ceus_models.protocol.messages import Recipe
from ceus_models.protocol.state import State
from ceus_models.runtime.seeds import derive_seed
from ceus_models.study.taxonomy import FUSION_NETS, count_outputs

CACHED_MODULES = 8
_CACHE = threading.local()


@dataclass(frozen=True)
class LoadedNet:
    """A cached module.

    Args:
        module: the net.
        tensors: its parameters and buffers by name.
        local: names of those that stay at the site.
    """

    module: nn.Module
    tensors: Mapping[str, Tensor]
    local: frozenset[str]

    def list_shared(self) -> Iterator[tuple[str, Tensor]]:
        """Name and tensor of all that is sent to the coordinator."""
        return ((name, t) for name, t in self.tensors.items() if name not in self.local)


def load_net(net: str, recipe: Recipe, state: State, local: State | None, device: torch.device) -> LoadedNet:
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
    check_fit(net, recipe, state, device)
    kept = _load_cached(net, recipe, device)
    with torch.no_grad():
        for name, tensor in state.items():
            kept.tensors[name].copy_(tensor)
    _restore_norms(kept, local)
    return kept


def build_initial_state(net: str, recipe: Recipe, seed: int) -> dict[str, Tensor]:
    """Draw the initial weights of a net, without the tensors that stay at the sites; names `<parameter>`."""
    kept = _load_cached(net, recipe, CPU)
    initialise(kept.module, derive_seed(seed, "init", net))
    return {name: t.detach().clone(memory_format=torch.contiguous_format) for name, t in kept.list_shared()}


def check_fit(net: str, recipe: Recipe, state: State, device: torch.device) -> None:
    """Raise ValueError where names or shapes of a state are not the net's.

    This is checked before memory is allocated: a recipe of a few bytes can describe a net of any size, a state cannot.
    """
    key, shelf = _make_key(net, recipe, device), _open_cache()
    if key in shelf:
        expected = {name: t.shape for name, t in shelf[key].list_shared()}
    else:
        drawn = build_on_meta(net, recipe)
        local = list_local_names(drawn)
        expected = {name: t.shape for name, t in drawn.state_dict().items() if name not in local}
    given = {name: t.shape for name, t in state.items()}
    if expected != given:
        odd = sorted(name for name in expected.keys() | given.keys() if expected.get(name) != given.get(name))
        raise ValueError(f"expected the tensors of {net} by its recipe, {len(odd)} do not fit, the first is {odd[0]}")


@torch.no_grad()
def _restore_norms(kept: LoadedNet, local: State | None) -> None:
    """Load this site's BatchNorm tensors, or reset them: those of another site must not remain."""
    if local is not None:
        for name in kept.local:
            kept.tensors[name].copy_(local[name])
        return
    for layer in kept.module.modules():
        if isinstance(layer, nn.BatchNorm2d):
            reset_norm(layer)


def _make_key(net: str, recipe: Recipe, device: torch.device) -> object:
    """The cache key: all that a module's shape and device depend on."""
    shape = (count_inputs(net, recipe), recipe.fusion_hidden) if net in FUSION_NETS else recipe.architecture
    return shape, count_outputs(net), str(device)


def _open_cache() -> OrderedDict[object, LoadedNet]:
    shelf: OrderedDict[object, LoadedNet] = _CACHE.__dict__.setdefault("shelf", OrderedDict())
    return shelf


def _load_cached(net: str, recipe: Recipe, device: torch.device) -> LoadedNet:
    key, shelf = _make_key(net, recipe, device), _open_cache()
    if key not in shelf:
        module = build_empty(net, recipe, device)
        initialise(module, 0)
        shelf[key] = LoadedNet(module, dict(module.state_dict(keep_vars=True)), list_local_names(module))
    shelf.move_to_end(key)
    while len(shelf) > CACHED_MODULES:
        shelf.popitem(last=False)
    return shelf[key]
