"""Kept modules: filled whole, never with what the last site left, and started by seed and name alone."""

from __future__ import annotations

import pytest
import torch
from toy_lesions import lesions, recipe

from ceus_models.nets.factory import CPU
from ceus_models.nets.module_cache import build_initial_state, load_net
from ceus_models.nets.predict import measure_statistics
from ceus_models.protocol.messages import Architecture
from ceus_models.study.taxonomy import NETS


@pytest.mark.parametrize("net", NETS)
def test_initial_weights_depend_on_seed_and_name_alone(net: str) -> None:
    torch.manual_seed(1)
    first = build_initial_state(net, recipe(), 7)
    torch.manual_seed(2)
    before = torch.get_rng_state()
    again = build_initial_state(net, recipe(), 7)
    assert torch.equal(before, torch.get_rng_state())
    assert all(torch.equal(first[name], again[name]) for name in first)
    other = build_initial_state(net, recipe(), 8)
    assert any(not torch.equal(first[name], other[name]) for name in first)
    assert all(bool(torch.isfinite(t).all()) for t in first.values())


def test_two_nets_of_one_shape_start_apart() -> None:
    a, b = (build_initial_state(f"disease/{t}", recipe(), 7) for t in ("HCC", "HM"))
    assert not torch.equal(a["spatial.backbone.conv1.weight"], b["spatial.backbone.conv1.weight"])


def test_a_kept_module_is_filled_whole() -> None:
    a, b = build_initial_state("disease/HCC", recipe(), 1), build_initial_state("disease/HCC", recipe(), 2)
    kept = load_net("disease/HCC", recipe(), a, None, CPU)
    same = load_net("disease/HM", recipe(), b, None, CPU)
    assert kept is same
    assert all(torch.equal(t, b[name]) for name, t in same.list_shared())
    with pytest.raises(ValueError, match="do not fit"):
        load_net("disease/HM", recipe(), {**b, "more": torch.zeros(1)}, None, CPU)
    with pytest.raises(ValueError, match="do not fit"):
        load_net("disease/HM", recipe(), {n: t for n, t in b.items() if "lstm" not in n}, None, CPU)


def test_fresh_batch_norm_does_not_remember_the_last_site() -> None:
    made = recipe(Architecture(10, 10, 8, 4, "batch_local"))
    state = build_initial_state("disease/HCC", made, 1)
    kept = load_net("disease/HCC", made, state, None, CPU)
    measure_statistics(kept.module, lesions(4), made)
    assert float(kept.tensors["spatial.backbone.bn1.running_mean"].abs().max()) > 0
    load_net("disease/HCC", made, state, None, CPU)
    assert float(kept.tensors["spatial.backbone.bn1.running_mean"].abs().max()) == 0
