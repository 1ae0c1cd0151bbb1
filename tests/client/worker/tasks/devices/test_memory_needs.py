from __future__ import annotations

import pytest
import torch
from toy_lesions import recipe

from ceus_models.nets.factory import CPU, build_net
from ceus_models.nets.recomputation import recompute_activations
from ceus_models.protocol.messages import Architecture, LocalRule
from ceus_models.study.processing import Processing
from client.worker.tasks.devices.memory_needs import LesionMemory, count_round, measure_lesion
from client.worker.tasks.devices.micro_batches import BatchLimit

SMALL = Processing(frames_to_peak=3, frames_after=2, size=32, flow_maps=3, flow_size=32)
CARD = torch.device("cuda")
MB = 1e6


@pytest.mark.parametrize("depth", [10, 50])
def test_what_is_counted_from_shapes_is_what_a_step_keeps(depth: int) -> None:
    architecture, count = Architecture(depth, 10, 16, 8), 4
    net = build_net("disease/HCC", recipe(architecture), 1)
    own = {parameter.untyped_storage().data_ptr() for parameter in net.parameters()}
    kept: dict[int, torch.Tensor] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        if tensor.untyped_storage().data_ptr() not in own:
            kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        net(torch.rand(count, 5, 1, 32, 32), torch.rand(count, 3, 2, 32, 32))
    found = sum(tensor.untyped_storage().nbytes() for tensor in kept.values())
    counted = measure_lesion(architecture, SMALL, CPU)
    assert counted.kept * count == pytest.approx(found, rel=0.1)  # the LSTMs and heads are left out
    assert counted.recomputed < 0.9 * counted.kept


def test_recomputation_is_counted_as_it_is_done() -> None:
    """The inputs of blocks and what is outside them, by the hooks that checkpoints themselves are under."""
    architecture = Architecture(18, 10, 16, 8)
    counted = measure_lesion(architecture, SMALL, CPU)
    net = build_net("disease/HCC", recipe(architecture), 1)
    recompute_activations(net, True)
    outside: dict[int, int] = {}
    with torch.autograd.graph.saved_tensors_hooks(
        lambda t: outside.setdefault(t.untyped_storage().data_ptr(), t.untyped_storage().nbytes()) and t, lambda t: t
    ):
        net(torch.rand(1, 5, 1, 32, 32), torch.rand(1, 3, 2, 32, 32))
    parameters = sum(4 * p.numel() for p in net.parameters())
    assert sum(outside.values()) - parameters < counted.recomputed


def test_the_papers_nets_on_a_card_that_is_not_there() -> None:
    whole = measure_lesion(Architecture(), Processing(), CARD)
    half = measure_lesion(Architecture(), Processing(), CARD, bfloat16=True)
    assert whole.kept / MB == pytest.approx(862, rel=0.02)
    assert half.kept < 1.3 * whole.kept
    assert whole.recomputed < 0.6 * whole.kept
    assert not torch.is_autocast_enabled("cuda")


def test_a_round_counts_nets_answers_training_and_a_step() -> None:
    lesion = LesionMemory(kept=100, recomputed=30, working=10)
    rule = LocalRule(momentum=0.9, proximal_mu=0.1)
    need = count_round([1000, 500], rule, lesion, 7)
    # as sent 4 bytes a number; an answer 4 and the total 8; weights, gradients, momentum and start of the larger net
    assert (need.nets, need.total, need.trained) == (6000, 18000, 16000)
    assert need.count(8) == 6000 + 18000 + 16000 + 7 + 8 * 110
    fixed = need.count(0)
    assert need.find_limit(8, fixed + 880, True) == BatchLimit()
    assert need.find_limit(8, fixed + 879, True) == BatchLimit(4)
    assert need.find_limit(8, fixed + 110, True) == BatchLimit(1)
    assert need.find_limit(8, fixed + 109, True) == BatchLimit(1, recomputed=True)
    assert need.find_limit(8, fixed + 109, False) is None
    assert need.find_limit(8, fixed + 39, True) is None
