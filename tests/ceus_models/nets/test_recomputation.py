from __future__ import annotations

import pytest
import torch
from toy_lesions import lesions, recipe

from ceus_models.nets.factory import CPU, build_net
from ceus_models.nets.recomputation import can_recompute, recompute_activations
from ceus_models.nets.two_stream import prepare_inputs
from ceus_models.protocol.messages import Architecture


@pytest.mark.parametrize("depth", [10, 50])
def test_gradients_are_the_same_and_fewer_activations_are_kept(depth: int) -> None:
    made = recipe(Architecture(depth, 10, 8, 4))
    net = build_net("disease/HCC", made, 1)
    assert can_recompute(net)
    inputs = prepare_inputs(lesions(3), made.normaliser, CPU)
    found, kept = [], []
    for wanted in (False, True, True, False):
        recompute_activations(net, wanted)
        net.zero_grad()
        sizes: list[int] = []
        with torch.autograd.graph.saved_tensors_hooks(lambda t, to=sizes: (to.append(t.numel()), t)[1], lambda t: t):
            loss = net(*inputs).final.square().sum()
        loss.backward()
        found.append([p.grad.clone() for p in net.parameters()])
        kept.append(sum(sizes))
    assert all(torch.equal(a, b) for other in found[1:] for a, b in zip(found[0], other, strict=True))
    assert kept[1] == kept[2] < kept[0] == kept[3]


def test_batch_norm_is_not_recomputed() -> None:
    assert not can_recompute(build_net("disease/HCC", recipe(Architecture(10, 10, 8, 4, "batch_local")), 1))
    assert not can_recompute(build_net("fusion/DCB", recipe(), 1))
