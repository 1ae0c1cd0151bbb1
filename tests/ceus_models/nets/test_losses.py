from __future__ import annotations

import pytest
import torch
from torch.nn import functional as nnf
from toy_lesions import lesions, recipe

from ceus_models.nets.factory import build_net
from ceus_models.nets.losses import (
    NO_RESULT,
    build_class_weights,
    build_head_weights,
    compute_cross_entropy,
    compute_head_losses,
    compute_lesion_losses,
    compute_mean_loss,
)
from ceus_models.nets.two_stream import Output, prepare_inputs

CPU = torch.device("cpu")


@pytest.mark.parametrize("net", ["disease/HCC", "disease/all"])
def test_weighted_sum_of_three_losses(net: str) -> None:
    outputs = 1 if net == "disease/HCC" else 5
    weights = torch.tensor([0.5, 3.0, 1.0, 2.0, 4.0][: max(2, outputs)])
    targets = torch.tensor([0, 1, 1, 0])
    out = build_net(net, recipe(), 1)(*prepare_inputs(lesions(4), recipe().normaliser, CPU))
    parts = (0.2, 0.7, 1.5)
    by_hand = torch.zeros(4)
    for part, head in zip(parts, (out.spatial, out.temporal, out.final), strict=True):
        logp = torch.cat([nnf.logsigmoid(-head), nnf.logsigmoid(head)], 1) if outputs == 1 else head.log_softmax(1)
        by_hand = by_hand - part * weights[targets] * logp[torch.arange(4), targets]
    torch.testing.assert_close(compute_lesion_losses(out, targets, weights, parts), by_hand)


def test_gradient_follows_the_weights_of_the_parts() -> None:
    """With only the spatial loss the temporal branch and the weighting learn nothing, and twice the share is twice
    the gradient."""
    net = build_net("disease/HCC", recipe(), 1)
    targets, weights = torch.tensor([0, 1, 1]), torch.tensor([1.0, 2.0])

    def gradient(parts: tuple[float, float, float]) -> dict[str, torch.Tensor]:
        net.zero_grad()
        out = net(*prepare_inputs(lesions(3), recipe().normaliser, CPU))
        compute_mean_loss(compute_lesion_losses(out, targets, weights, parts)).backward()
        return {name: p.grad.clone() for name, p in net.named_parameters()}

    once, twice, all_three = gradient((1, 0, 0)), gradient((2, 0, 0)), gradient((1, 1, 1))
    for name, g in once.items():
        torch.testing.assert_close(twice[name], 2 * g, atol=1e-6, rtol=1e-4)
        if name.startswith(("temporal", "weighting")):
            assert float(g.abs().max()) == 0
            assert float(all_three[name].abs().max()) > 0


def test_losses_add_over_lesions_whatever_the_batch() -> None:
    logits, targets = torch.randn(7, 6, generator=torch.Generator().manual_seed(1)), torch.arange(7) % 6
    weights = torch.arange(1.0, 7.0)
    whole = compute_lesion_losses(logits, targets, weights, (1, 1, 1))
    parts = [compute_lesion_losses(logits[i], targets[i], weights, (1, 1, 1)) for i in (slice(0, 3), slice(3, 7))]
    torch.testing.assert_close(torch.cat(parts), whole)
    torch.testing.assert_close(compute_mean_loss(whole) * 7, sum(p.sum() for p in parts))


def test_binary_and_two_class_agree() -> None:
    logit = torch.linspace(-9, 9, 5).unsqueeze(1)
    targets = torch.tensor([0, 1, 0, 1, 1])
    pair = torch.cat([torch.zeros_like(logit), logit], dim=1)
    torch.testing.assert_close(compute_cross_entropy(logit, targets), compute_cross_entropy(pair, targets))


def test_the_gradient_of_the_heads_is_that_of_their_labelled_lesions_alone() -> None:
    """∂ Σ loss / ∂ bias of a spatial head = Σ over its labelled lesions of weight · (p - y); a mask adds nothing."""
    net = build_net("trunk", recipe(disease_HM=(0.5, 3.0), biomarker_CK19=(2.0, 0.25)), 1)
    weights = build_head_weights("trunk", recipe(disease_HM=(0.5, 3.0), biomarker_CK19=(2.0, 0.25)), CPU)
    assert weights[[0, 1, 8]].tolist() == [[1, 1], [0.5, 3.0], [2.0, 0.25]]
    targets = torch.randint(-1, 2, (6, 9), generator=torch.Generator().manual_seed(2))
    targets[:, 3] = NO_RESULT
    out = net(*prepare_inputs(lesions(6), recipe().normaliser, CPU))
    losses = compute_head_losses(out, targets, weights, (1.0, 0.0, 0.0))
    assert losses.shape == (6, 9)
    assert not losses[targets == NO_RESULT].any()
    losses.sum().backward()
    p, y, known = torch.sigmoid(out.spatial), targets.clamp(min=0), (targets != NO_RESULT).float()
    expected = (known * weights[torch.arange(9), y] * (p - y)).sum(0)
    torch.testing.assert_close(net.spatial_head.bias.grad, expected.detach(), atol=1e-6, rtol=1e-5)
    assert float(net.spatial_head.bias.grad[3]) == 0


def test_each_head_has_the_loss_of_a_net_of_its_own() -> None:
    given = recipe(disease_HCC=(0.5, 3.0))
    out = build_net("trunk", given, 1)(*prepare_inputs(lesions(4), given.normaliser, CPU))
    targets = torch.tensor([[1], [0], [1], [0]]).repeat(1, 9)
    found = compute_head_losses(out, targets, build_head_weights("trunk", given, CPU), (0.2, 0.7, 1.5))
    for head, weights in ((0, [0.5, 3.0]), (5, [1.0, 1.0])):
        one = Output(*(part[:, head : head + 1] for part in out))
        alone = compute_lesion_losses(one, targets[:, head], torch.tensor(weights), (0.2, 0.7, 1.5))
        torch.testing.assert_close(found[:, head], alone)


def test_class_weights_come_from_the_recipe() -> None:
    made = recipe(disease_HCC=(0.6, 1.4))
    assert build_class_weights("disease/HCC", 2, made, CPU).tolist() == pytest.approx([0.6, 1.4])
    assert build_class_weights("disease/HM", 2, made, CPU).tolist() == [1, 1]
    with pytest.raises(ValueError, match="expected 5 class weights"):
        build_class_weights("disease/HCC", 5, made, CPU)
