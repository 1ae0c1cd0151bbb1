from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torchvision.models import resnet18
from torchvision.models.resnet import ResNet
from toy_lesions import TINY, lesion, lesions, recipe

from ceus_models.nets.factory import build_net
from ceus_models.nets.module_cache import build_initial_state
from ceus_models.nets.two_stream import (
    LARGEST_GAIN,
    LARGEST_OFFSET,
    Backbone,
    Branch,
    TwoStream,
    augment_images,
    combine_logits,
    list_local_names,
    load_imagenet,
    move_maps,
    prepare_inputs,
)
from ceus_models.protocol.messages import Architecture
from ceus_models.runtime.errors import ExpectedError

CPU = torch.device("cpu")


def batch(count: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    return prepare_inputs(lesions(count), recipe().normaliser, CPU)


@pytest.mark.parametrize("outputs", [1, 5])
@pytest.mark.parametrize("norm", ["group", "batch_local"])
def test_shapes_and_adaptive_weight(outputs: int, norm: str) -> None:
    net = TwoStream(Architecture(18, 10, 8, 8, norm), outputs)
    out = net(*batch())
    assert out.spatial.shape == out.temporal.shape == out.final.shape == (3, outputs)
    assert out.branch_weight.shape == (3, 1)
    assert bool(((out.branch_weight > 0) & (out.branch_weight < 1)).all())


@pytest.mark.parametrize("depth", [10, 18, 34, 50])
def test_backbone_depth_is_torchvisions(depth: int) -> None:
    net = Backbone(depth, 8, 1, "group")
    convolutions = [m for n, m in net.named_modules() if isinstance(m, nn.Conv2d) and "downsample" not in n]
    assert len(convolutions) + 1 == depth  # the classifier, which is not here, is counted in the name
    assert net(torch.zeros(2, 1, 32, 32)).shape == (2, 8 * 8 * (4 if depth == 50 else 1))


def test_same_function_as_torchvisions_resnet() -> None:
    torch.manual_seed(0)
    theirs = resnet18(weights=None).eval()
    ours = Backbone(18, 64, 3, "batch_local").eval()
    names = [name for name in theirs.state_dict() if not name.startswith("fc.")]
    assert list(ours.state_dict()) == names
    ours.load_state_dict({name: theirs.state_dict()[name] for name in names})
    theirs.fc = nn.Identity()
    images = torch.randn(2, 3, 48, 48)
    torch.testing.assert_close(ours(images), theirs(images))


def test_imagenet_weights_enter_with_averaged_first_layer(tmp_path: Path) -> None:
    theirs: ResNet = resnet18(weights=None)
    save_file(theirs.state_dict(), tmp_path / "resnet18.safetensors")
    branch = Branch(18, 2, Architecture(18, 18, 64, 8))
    names = load_imagenet(branch, tmp_path / "resnet18.safetensors")
    ours = branch.backbone.state_dict()
    assert set(names) == set(ours)
    mean = theirs.conv1.weight.mean(dim=1)
    assert torch.equal(ours["conv1.weight"][:, 0], mean)
    assert torch.equal(ours["conv1.weight"][:, 1], mean)
    assert torch.equal(ours["layer3.1.conv2.weight"], theirs.layer3[1].conv2.weight)
    with pytest.raises(ExpectedError, match="depth and width"):
        load_imagenet(Branch(18, 2, Architecture(18, 18, 32, 8)), tmp_path / "resnet18.safetensors")
    (tmp_path / "bad.safetensors").write_bytes(b"no tensors")
    with pytest.raises(ExpectedError, match="safetensors"):
        load_imagenet(branch, tmp_path / "bad.safetensors")


def test_only_batch_norm_is_local() -> None:
    assert list_local_names(TwoStream(TINY, 1)) == frozenset()
    net = TwoStream(Architecture(10, 10, 8, 4, "batch_local"), 1)
    local = list_local_names(net)
    assert "spatial.backbone.bn1.running_mean" in local
    assert "temporal.backbone.layer2.0.downsample.1.weight" in local
    assert all(not isinstance(m, nn.GroupNorm) for m in net.modules())
    assert not any("conv" in name or "lstm" in name or "head" in name for name in local)
    shared = build_initial_state("disease/HCC", recipe(Architecture(10, 10, 8, 4, "batch_local")), 1)
    assert shared.keys() == net.state_dict().keys() - local


def test_order_of_frames_matters() -> None:
    net = build_net("disease/HCC", recipe(), 3).eval()
    frames, flow = batch()
    there = net(frames, flow)
    back = net(frames.flip(1), flow.flip(1))
    assert not torch.allclose(there.spatial, back.spatial, atol=1e-6)
    assert not torch.allclose(there.temporal, back.temporal, atol=1e-6)


def test_brightness_reaches_the_scores_through_group_norm() -> None:
    net = build_net("disease/HCC", recipe(), 3).eval()
    frames, flow = batch()
    assert not torch.allclose(net(frames, flow).spatial, net(frames + 1.0, flow).spatial, atol=1e-4)


@pytest.mark.parametrize("k", [1, 4])
def test_final_probability_is_the_weighted_one(k: int) -> None:
    torch.manual_seed(1)
    spatial, temporal, gate = torch.randn(6, k) * 3, torch.randn(6, k) * 3, torch.randn(6, 1)
    p = torch.sigmoid if k == 1 else lambda x: torch.softmax(x, dim=1)
    w = torch.sigmoid(gate)
    torch.testing.assert_close(p(combine_logits(spatial, temporal, gate)), w * p(spatial) + (1 - w) * p(temporal))
    sure = combine_logits(torch.full((1, 1), 400.0), torch.full((1, 1), 300.0), torch.zeros(1, 1))
    assert bool(torch.isfinite(sure).all())


def test_no_operation_in_place_breaks_a_gradient_hook() -> None:
    net = build_net("disease/HCC", recipe(), 3)
    caught = []
    for module in net.modules():
        if isinstance(module, nn.Conv2d | nn.GroupNorm):
            module.register_forward_hook(lambda m, i, o: caught.append((o, o.detach().clone())))
    net(*batch()).final.sum().backward()
    assert caught
    assert all(torch.equal(now.detach(), then) for now, then in caught)


def test_prepare_is_in_units_of_the_normaliser() -> None:
    one = lesion(4)
    frames, flow = prepare_inputs([one], recipe().normaliser, CPU)
    assert frames.shape == (1, 5, 1, 16, 16)
    assert flow.shape == (1, 3, 2, 16, 16)
    assert float(frames[0, 2, 0, 3, 4]) == pytest.approx((one.frames[2, 3, 4] / 255 - 0.4) / 0.2, rel=1e-5)
    assert float(flow[0, 1, 1, 3, 4]) == pytest.approx(one.flow[1, 1, 3, 4] * 0.04 / 1.5, rel=1e-5)


def test_flipping_turns_velocities_with_the_pictures() -> None:
    """A point at row 1, column 0 of a picture of 3 x 4, which moves 2 px right and 5 px down."""
    frames, flow = torch.zeros(4, 1, 1, 3, 4), torch.zeros(4, 1, 2, 3, 4)
    frames[:, 0, 0, 0, 0] = 7.0
    flow[:, 0, :, 0, 0] = torch.tensor([2.0, 5.0])
    turned = torch.tensor([[False, False], [True, False], [False, True], [True, True]])
    seen, moved = augment_images(frames, flow, torch.cat([torch.where(turned, 0.1, 0.9), torch.full((4, 4), 0.5)], 1))
    expected = [(0, 0, [2, 5]), (0, 3, [-2, 5]), (2, 0, [2, -5]), (2, 3, [-2, -5])]
    for case, (row, column, velocity) in enumerate(expected):
        assert seen[case, 0, 0, row, column] == 7.0
        assert moved[case, 0, :, row, column].tolist() == velocity
    assert float(seen.sum()) == 4 * 7.0
    assert float(moved.abs().sum()) == 4 * (2.0 + 5.0)


def test_augmented_pictures_are_turned_moved_and_scaled_as_drawn() -> None:
    """A square of 2 x 2 in a picture of 32 x 48, which moves 2 px right and 5 px down."""
    frames, flow = torch.zeros(3, 4, 1, 32, 48), torch.zeros(3, 2, 2, 32, 48)
    frames[:, :, 0, 10:12, 20:22] = 2.0
    flow[:, :, :, 10:12, 20:22] = torch.tensor([2.0, 5.0]).reshape(1, 1, 2, 1, 1)
    still, far, turned = [0.9, 0.9, 0.5, 0.5, 0.5, 0.5], [0.9, 0.9, 1.0, 0.0, 1.0, 0.0], [0.1, 0.9, 0.5, 0.5, 0.5, 1.0]
    seen, velocities = augment_images(frames, flow, torch.tensor([still, far, turned]))
    assert torch.equal(seen[0], frames[0])
    assert torch.equal(velocities[0], flow[0])
    gain = math.exp(LARGEST_GAIN)
    assert seen[1, :, 0, 8:10, 23:25].tolist() == [[[pytest.approx(2.0 * gain - LARGEST_OFFSET)] * 2] * 2] * 4
    assert float((seen[1] + LARGEST_OFFSET).sum()) == pytest.approx(4 * 4 * 2.0 * gain, rel=1e-3)
    assert velocities[1, :, :, 8:10, 23:25].flatten(2).unique(dim=-1).tolist() == [[[2.0], [5.0]]] * 2
    assert seen[2, :, 0, 10:12, 26:28].flatten().tolist() == [pytest.approx(2.0 + LARGEST_OFFSET)] * 16
    assert velocities[2, 0, :, 10, 26].tolist() == [-2.0, 5.0]


def test_what_a_move_brings_in_repeats_the_edge() -> None:
    rows = torch.arange(32.0).reshape(1, 1, 1, 32, 1).expand(1, 1, 1, 32, 16)
    still, upside_down = (torch.tensor([[False, turned]]) for turned in (False, True))
    down = [move_maps(rows, turned, torch.zeros(1), torch.ones(1))[0, 0, 0, :, 0] for turned in (still, upside_down)]
    assert down[0].tolist() == [0.0, 0.0, *range(30)]
    assert down[1].tolist() == [31.0, 31.0, *range(31, 1, -1)]
