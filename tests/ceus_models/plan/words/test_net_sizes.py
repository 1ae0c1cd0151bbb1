"""The count of a net's numbers is that of the net itself."""

from __future__ import annotations

from typing import Literal

import pytest

from ceus_models.nets.factory import build_on_meta
from ceus_models.nets.two_stream import list_local_names
from ceus_models.plan.words.net_sizes import count_weights
from ceus_models.protocol.messages import Architecture, Normaliser, Recipe
from ceus_models.study.taxonomy import CLINICAL, CLINICAL_NAMES, FUSION_NETS, TRUNK

Depth = Literal[10, 18, 34, 50]
MOMENTS = (0.0,) * len(CLINICAL)


def built(net: str, architecture: Architecture, hidden: int) -> int:
    recipe = Recipe(architecture, Normaliser(0.4, 0.2, 1.5, MOMENTS, MOMENTS), CLINICAL_NAMES, {}, hidden)
    module = build_on_meta(net, recipe)
    local = list_local_names(module)
    return sum(tensor.numel() for name, tensor in module.state_dict().items() if name not in local)


@pytest.mark.parametrize("norm", ["group", "batch_local"])
@pytest.mark.parametrize(("spatial", "temporal", "width"), [(34, 18, 64), (10, 10, 8), (50, 10, 16), (18, 50, 8)])
@pytest.mark.parametrize("net", ["disease/HCC", "disease/all", TRUNK])
def test_a_two_stream_net(net: str, spatial: Depth, temporal: Depth, width: int, norm: Literal["group"]) -> None:
    made = Architecture(spatial, temporal, width, hidden=24, norm=norm)
    assert count_weights(net, made, 32) == built(net, made, 32)


@pytest.mark.parametrize("hidden", [0, 32])
@pytest.mark.parametrize("net", FUSION_NETS)
def test_a_fusion_net_with_every_variable(net: str, hidden: int) -> None:
    assert count_weights(net, Architecture(), hidden) == built(net, Architecture(), hidden)
