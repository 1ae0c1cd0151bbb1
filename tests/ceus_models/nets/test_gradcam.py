"""Grad-CAM by hand, and its weights against finite differences of the whole net."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn
from toy_lesions import lesion, recipe

from ceus_models.nets.factory import build_net
from ceus_models.nets.gradcam import compute_cam, grad_cam, select_layer
from ceus_models.nets.two_stream import TwoStream, prepare_inputs
from ceus_models.protocol.messages import Architecture

RECIPE = recipe(Architecture(10, 10, 8, 4))
STEP = 1e-5


def net(outputs: str = "disease/HCC") -> TwoStream:
    """In float64, away from its start: there the branches weigh the same and half of the units are off."""
    module = build_net(outputs, RECIPE, 3).double().eval()
    rng = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.2 * torch.randn(parameter.shape, generator=rng, dtype=torch.float64))
    assert isinstance(module, TwoStream)
    return module


@pytest.fixture(autouse=True)
def _double(monkeypatch: pytest.MonkeyPatch) -> None:
    original = prepare_inputs

    def doubled(*arguments):  # type: ignore[no-untyped-def]
        return tuple(t.double() for t in original(*arguments))

    monkeypatch.setattr("ceus_models.nets.gradcam.prepare_inputs", doubled)


def test_a_map_by_hand() -> None:
    """Two maps of 2 x 2: mean gradients 1/2 and -1, so the map is relu(a/2 - b)."""
    maps = torch.tensor([[[[2.0, 4.0], [6.0, 8.0]], [[0.0, 3.0], [1.0, 4.0]]]])
    gradients = torch.tensor([[[[0.0, 1.0], [1.0, 0.0]], [[-1.0, -1.0], [-2.0, 0.0]]]])
    assert compute_cam(maps, gradients).tolist() == [[[1.0, 0.0], [2.0, 0.0]]]


def moved(layer: nn.Module, score: Callable[[], float], at: tuple[int, int], step: float) -> tuple[float, torch.Tensor]:
    """The score when a step is added to one map of a layer, and the layer's maps as they are."""
    kept: list[torch.Tensor] = []

    def move(_module: object, _inputs: object, maps: torch.Tensor) -> torch.Tensor:
        kept.append(maps)
        other = maps.clone()
        other[at] += step
        return other

    handle = layer.register_forward_hook(move)
    with torch.no_grad():
        value = score()
    handle.remove()
    return value, kept[0]


@pytest.mark.parametrize(("name", "output"), [("disease/HCC", 0), ("disease/all", 2)])
def test_weights_are_those_of_finite_differences(name: str, output: int) -> None:
    """A map's weight is the mean gradient, so adding a step to a whole map moves the score by step · cells · weight."""
    module, sample = net(name), lesion(5)
    found = grad_cam(module, sample, RECIPE.normaliser, output)
    frames, flow = (t.double() for t in prepare_inputs([sample], RECIPE.normaliser, torch.device("cpu")))

    def score() -> float:
        return float(module(frames, flow).final[0, output])

    for branch, cam in zip((module.spatial, module.temporal), found, strict=True):
        layer = branch.backbone.get_submodule(cam.layer)
        maps = moved(layer, score, (0, 0), 0.0)[1]
        t, c, h, w = maps.shape
        weights = np.zeros((t, c, 1, 1))
        for at in np.ndindex(t, c):
            up, down = (moved(layer, score, at, step)[0] for step in (STEP, -STEP))
            weights[at] = (up - down) / (2 * STEP * h * w)
        assert cam.maps.shape == (t, h, w)
        assert cam.maps == pytest.approx(np.maximum((weights * maps.numpy()).sum(1), 0), rel=1e-4, abs=1e-7)
        assert cam.maps.max() > 0


def test_the_net_is_left_as_it_was() -> None:
    module = net()
    before = [parameter.clone() for parameter in module.parameters()]
    grad_cam(module, lesion(1), RECIPE.normaliser)
    assert all(p.requires_grad and p.grad is None for p in module.parameters())
    assert all(torch.equal(a, b) for a, b in zip(before, module.parameters(), strict=True))
    assert not any(m._forward_hooks for m in module.modules())


def test_small_crops_take_the_last_layer_with_some_cells() -> None:
    assert [select_layer(side) for side in (224, 112, 65, 64, 32, 16, 8)] == [
        "layer4",
        "layer4",
        "layer4",
        "layer3",
        "layer2",
        "layer1",
        "layer1",
    ]
