"""Heads are what lies above the summaries, and nothing below."""

from __future__ import annotations

import pytest
from toy_lesions import recipe

from ceus_models.nets.module_cache import build_initial_state
from ceus_models.nets.trained_parameters import list_trained


@pytest.mark.parametrize("net", ["disease/HCC", "disease/all"])
def test_heads_are_three_linear_layers(net: str) -> None:
    names = build_initial_state(net, recipe(), 1)
    wanted = {
        f"{head}.{part}" for head in ("spatial_head", "temporal_head", "weighting") for part in ("weight", "bias")
    }
    assert set(list_trained(names, "heads")) == wanted
    assert list_trained(names, "all") == tuple(names)
