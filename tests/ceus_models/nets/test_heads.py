"""One place says which net has an output, for nets of their own and for the heads of a trunk."""

from __future__ import annotations

import pytest
import torch
from toy_lesions import lesions, recipe

from ceus_models.nets.factory import build_net
from ceus_models.nets.heads import list_nets, list_outputs, locate_output
from ceus_models.nets.predict import predict_two_stream
from ceus_models.nets.two_stream import combine_logits, prepare_inputs
from ceus_models.study.taxonomy import OUTPUTS, STRATEGY_A, SUBMODELS, TRUNK, count_outputs


@pytest.mark.parametrize("sharing", ["separate", "trunk"])
def test_every_output_is_one_head_of_one_net(sharing: str) -> None:
    for output in OUTPUTS:
        net, columns = locate_output(output, sharing)
        heads = list_outputs(net)
        assert heads[columns] == (output,)
        assert count_outputs(net) == (9 if net == TRUNK else count_outputs(output))
    held = (TRUNK,) if sharing == "trunk" else SUBMODELS
    assert list_nets((*SUBMODELS, STRATEGY_A), sharing) == (*held, STRATEGY_A)


def test_a_trunk_gives_each_head_its_own_weighted_probability() -> None:
    net = build_net(TRUNK, recipe(), 1)
    with torch.no_grad():
        net.weighting.weight.copy_(torch.randn(9, 16, generator=torch.Generator().manual_seed(1)))
    out = net(*prepare_inputs(lesions(4), recipe().normaliser, torch.device("cpu")))
    assert out.independent
    assert out.spatial.shape == out.final.shape == out.branch_weight.shape == (4, 9)
    gate = torch.logit(out.branch_weight)
    for head in range(9):
        one = slice(head, head + 1)
        alone = combine_logits(out.spatial[:, one], out.temporal[:, one], gate[:, one])
        torch.testing.assert_close(out.final[:, one], alone, atol=1e-5, rtol=1e-5)
    said = predict_two_stream(net, lesions(4), recipe())
    weight = said.spatial_weight
    mixed = weight * said.spatial + (1 - weight) * said.temporal
    torch.testing.assert_close(torch.tensor(said.final), torch.tensor(mixed), atol=1e-6, rtol=0)
    assert said.select(slice(2, 3)).final.tolist() == said.final[:, 2:3].tolist()


def test_the_classes_of_one_net_are_no_heads() -> None:
    net = build_net(STRATEGY_A, recipe(), 1)
    out = net(*prepare_inputs(lesions(2), recipe().normaliser, torch.device("cpu")))
    assert not out.independent
    assert predict_two_stream(net, lesions(2), recipe()).final.sum(1).tolist() == pytest.approx([1, 1])
