"""Patients' gradients: one bound a patient, exact sums, and the gradient that pooled training takes."""

from __future__ import annotations

import copy
import dataclasses
import math
from pathlib import Path

import pytest
import torch
from opacus.grad_sample import GradSampleModule
from opacus.layers import DPLSTM
from toy_lesions import TINY, lesion, lesions, recipe, task, with_submodels

from ceus_models.nets.losses import build_class_weights, compute_lesion_losses
from ceus_models.nets.module_cache import load_net
from ceus_models.nets.two_stream import THUMBNAIL, Branch, TwoStream, prepare_inputs
from ceus_models.protocol.messages import LocalRule, PrivateRule, Recipe, Task
from ceus_models.protocol.privacy.gradient_grid import compute_grid_step
from ceus_models.protocol.state import select_net
from ceus_models.study.sample import Sample
from ceus_models.study.targets import find_target
from client.policy.policy import TaskDeclined
from client.worker.tasks.inference import nets_of
from client.worker.tasks.place import Place
from client.worker.tasks.private_training import compute_gradients, group_patients, sum_patients, summarise_lesions
from client.worker.tasks.site_memory import SiteMemory

CPU = torch.device("cpu")
NET = "disease/HCC"
LOOSE = 100.0
LINEAR = dataclasses.replace(recipe(), fusion_hidden=0)


def rule(clip: float = LOOSE, trains: str = "all", views: int = 1) -> LocalRule:
    return LocalRule(momentum=0.0, trains=trains, private=PrivateRule(clip, 1.0, views=views))


def make_task(net: str = NET, given: Recipe | None = None, **of_rule: object) -> Task:
    found = task("train", (net,), given, rule=rule(**of_rule))
    return with_submodels(found) if net.startswith("fusion/") else found


def place(tmp_path: Path) -> Place:
    return Place("site-01", SiteMemory(tmp_path))


def flat(sums: dict[str, torch.Tensor]) -> torch.Tensor:
    return torch.cat([tensor.reshape(-1).double() for tensor in sums.values()])


def pooled_gradient(of: Task, cases: list[Sample]) -> torch.Tensor:
    """The gradient of the sum of all lesions' losses in one batch, as ordinary training takes it."""
    net = of.nets[0]
    kept = load_net(net, of.recipe, select_net(of.inputs, net), None, CPU)
    output = kept.module(*prepare_inputs(cases, of.recipe.normaliser, CPU))
    targets = torch.tensor([find_target(net, s) for s in cases])
    weights = build_class_weights(net, 2, of.recipe, CPU)
    losses = compute_lesion_losses(output, targets, weights, of.recipe.architecture.loss_weights)
    return torch.cat([g.reshape(-1) for g in torch.autograd.grad(losses.sum(), list(kept.module.parameters()))])


def test_without_a_bound_the_sum_is_the_gradient_of_pooled_training(tmp_path: Path) -> None:
    cases, of = lesions(7), make_task()
    found = flat(sum_patients(of, cases, place(tmp_path)))
    wanted = pooled_gradient(of, cases).double()
    step = compute_grid_step(LOOSE, len(wanted))
    assert (found - wanted).abs().max() <= step / 2 * 4 + 1e-5 * wanted.abs().max()  # 4 patients, each rounded once
    fine = sum(compute_gradients(NET, group_patients(NET, cases), nets_of(of, place(tmp_path)), of.rule, 1))
    assert (fine - wanted).norm() <= 2e-6 * wanted.norm()


def forward_contiguous(branch: Branch, images: torch.Tensor) -> torch.Tensor:
    """Branch.forward without its memory format, for which opacus' hooks give wrong gradients of convolutions."""
    flat = images.flatten(0, 1)
    levels = torch.nn.functional.adaptive_avg_pool2d(flat, THUMBNAIL).flatten(1)
    features = torch.cat([branch.backbone(flat), levels], dim=1).reshape(*images.shape[:2], -1)
    outputs, _ = branch.lstm(features)
    return torch.cat([outputs[:, -1], outputs.mean(dim=1)], dim=1)


def per_patient_by_opacus(of: Task, cases: list[Sample]) -> list[torch.Tensor]:
    """Each patient's gradient from opacus' hooks on a contiguous copy, summed by hand over lesions and their images."""
    kept = load_net(NET, of.recipe, select_net(of.inputs, NET), None, CPU)
    net = copy.deepcopy(kept.module).to(memory_format=torch.contiguous_format)
    names = list(dict(net.named_parameters()))
    for branch in (net.spatial, net.temporal):
        own = DPLSTM(branch.lstm.input_size, branch.lstm.hidden_size, batch_first=True)
        own.load_state_dict(branch.lstm.state_dict())
        branch.lstm = own
    hooked, found = GradSampleModule(net, loss_reduction="sum"), []
    for patient in group_patients(NET, cases):
        hooked.zero_grad()
        frames, flow = prepare_inputs([s for s, _ in patient], of.recipe.normaliser, CPU)
        output = hooked(frames.requires_grad_(), flow.requires_grad_())
        targets = torch.tensor([t for _, (t,) in patient])
        compute_lesion_losses(output, targets, torch.ones(2), of.recipe.architecture.loss_weights).sum().backward()
        parameters = dict(net.named_parameters())
        for part in ("spatial", "temporal"):  # DPLSTM itself knows its parameters by torch's names
            own = getattr(net, part).lstm.named_parameters()
            parameters |= {f"{part}.lstm.{name}": parameter for name, parameter in own}
        found.append(torch.cat([parameters[name].grad_sample.sum(0).reshape(-1) for name in names]))
    return found


@pytest.mark.filterwarnings("ignore:Full backward hook")  # the LSTM starts from zeros, which have no gradient
def test_each_patients_gradient_is_that_of_opacus_hooks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cases, of = lesions(5), make_task()
    ours = list(compute_gradients(NET, group_patients(NET, cases), nets_of(of, place(tmp_path)), of.rule, 1))
    monkeypatch.setattr(Branch, "forward", forward_contiguous)
    theirs = per_patient_by_opacus(of, cases)
    assert len(ours) == len(theirs) == 3
    for own, other in zip(ours, theirs, strict=True):
        assert float((own - other).norm() / other.norm()) <= 2e-6


@pytest.mark.parametrize("net", [NET, "trunk"])
@pytest.mark.parametrize("trains", ["all", "heads"])
def test_the_bound_holds_for_a_patient_and_not_for_a_lesion_or_a_head(tmp_path: Path, trains: str, net: str) -> None:
    """In closed form: three lesions of one patient give the gradient g of their sum, scaled to the bound once."""
    three = [dataclasses.replace(lesion(n, label="HM"), patient="p") for n in range(3)]
    of = make_task(net, clip=0.01, trains=trains)
    (g,) = compute_gradients(net, group_patients(net, three), nets_of(of, place(tmp_path)), of.rule, 1)
    step = compute_grid_step(0.01, len(g))
    bound = 0.01 - step * math.sqrt(len(g)) / 2
    assert float(g.norm()) > 0.02
    found = flat(sum_patients(of, three, place(tmp_path)))
    assert (found - g.double() * (bound / float(g.double().norm()))).abs().max() <= step / 2 + 1e-12
    assert float(found.norm()) <= 0.01
    apart = [dataclasses.replace(s, patient=s.key) for s in three]
    assert float(flat(sum_patients(of, apart, place(tmp_path))).norm()) > 0.015  # three patients, three bounds


@pytest.mark.parametrize(
    ("net", "trains"), [(NET, "all"), (NET, "heads"), ("fusion/DCB", "all"), ("trunk", "all"), ("trunk", "heads")]
)
def test_adding_a_patient_moves_the_sum_by_at_most_the_bound(tmp_path: Path, net: str, trains: str) -> None:
    of = make_task(net, LINEAR, clip=0.05, trains=trains)
    others = [dataclasses.replace(s, patient=f"{i // 2}") for i, s in enumerate(lesions(9))]
    before = flat(sum_patients(of, others, place(tmp_path / "before")))
    for lesions_of_his in (1, 2, 4):
        his = [dataclasses.replace(lesion(100 + n), patient="0x") for n in range(lesions_of_his)]
        after = flat(sum_patients(of, [*his, *others], place(tmp_path / str(lesions_of_his))))
        assert 0 < float((after - before).norm()) <= 0.05


def test_the_sum_does_not_depend_on_the_order_and_adds_over_sites(tmp_path: Path) -> None:
    cases, of = lesions(8), make_task(clip=0.1)
    whole = sum_patients(of, cases, place(tmp_path))
    turned = sum_patients(of, cases[::-1], place(tmp_path))
    parts = [sum_patients(of, part, place(tmp_path)) for part in (cases[:4], cases[4:])]
    assert all(torch.equal(whole[name], turned[name]) for name in whole)
    assert all(torch.equal(whole[name], parts[0][name] + parts[1][name]) for name in whole)


def test_heads_alone_are_trained_and_get_the_gradient_they_get_in_the_whole_net(tmp_path: Path) -> None:
    cases = lesions(6)
    whole, heads = make_task(trains="all"), make_task(trains="heads")
    at = place(tmp_path)
    everything = sum(compute_gradients(NET, group_patients(NET, cases), nets_of(whole, at), whole.rule, 1))
    alone = sum(compute_gradients(NET, group_patients(NET, cases), nets_of(heads, at), heads.rule, 1))
    names = list(select_net(whole.inputs, NET))
    sizes = [t.numel() for t in select_net(whole.inputs, NET).values()]
    by_name = dict(zip(names, torch.split(everything, sizes), strict=True))
    kept = [name for name in names if name.split(".")[0].endswith(("_head", "weighting"))]
    wanted = torch.cat([by_name[name] for name in kept])
    assert (alone - wanted).norm() <= 1e-5 * wanted.norm()
    assert set(sum_patients(heads, cases, at)) == {f"{NET}|{name}" for name in kept}


def test_summaries_are_computed_once_a_lesion_and_frozen_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at, of, calls = place(tmp_path), make_task(clip=1.0, trains="heads", views=3), []
    monkeypatch.setattr(TwoStream, "forward", lambda *_: pytest.fail("the backbone is frozen"))
    plain = prepare_inputs
    monkeypatch.setattr(
        "client.worker.tasks.private_training.prepare_inputs", lambda s, *rest: calls.append(len(s)) or plain(s, *rest)
    )
    first = sum_patients(of, lesions(4), at)
    assert calls == [1] * 4  # each alone
    moved = {n: t + 1 if "|weighting" in n else t for n, t in of.inputs.items()}
    second = sum_patients(dataclasses.replace(of, inputs=moved), lesions(5), at)
    assert calls == [1] * 5  # other heads, the same backbone: only the new lesion is looked at
    assert not torch.equal(flat(first), flat(second))
    other = {n: t + 1 if n.endswith("spatial.backbone.conv1.weight") else t for n, t in of.inputs.items()}
    sum_patients(dataclasses.replace(of, inputs=other), lesions(4), at)
    assert calls == [1] * 9
    (row, *_) = summarise_lesions(NET, lesions(4), nets_of(of, at), 3).values()
    assert row.shape == (3, 4 * TINY.hidden)


def test_a_patients_gradient_in_a_trunk_is_the_sum_of_his_in_every_head(tmp_path: Path) -> None:
    """With nothing clipped, the nine heads of one trunk give what each labelled output gives alone, added."""
    cases, of, at = lesions(4), make_task("trunk", trains="heads"), place(tmp_path)
    whole = list(compute_gradients("trunk", group_patients("trunk", cases), nets_of(of, at), of.rule, 1))
    apart = []
    for head in range(9):
        of_one = [
            [(s, tuple(t if place == head else -1 for place, t in enumerate(answers))) for s, answers in patient]
            for patient in group_patients("trunk", cases)
        ]
        apart.append(list(compute_gradients("trunk", of_one, nets_of(of, at), of.rule, 1)))
    for patient, gradient in enumerate(whole):
        torch.testing.assert_close(gradient, sum(parts[patient] for parts in apart), atol=1e-5, rtol=1e-5)


def test_views_are_averaged_before_the_bound_and_drawn_anew_for_a_whole_net(tmp_path: Path) -> None:
    at, cases = place(tmp_path), lesions(2)
    patients = group_patients(NET, cases)
    for trains, same in (("heads", True), ("all", False)):
        of = make_task(trains=trains, views=4)
        (first,), (again,), (later,) = (
            list(compute_gradients(NET, patients, nets_of(of, at), of.rule, turn)) for turn in (1, 1, 2)
        )
        assert torch.equal(first, again)
        assert torch.equal(first, later) is same
        (plain,) = compute_gradients(NET, patients, nets_of(make_task(trains=trains), at), rule(trains=trains), 1)
        assert 0.1 < float(first.norm() / plain.norm()) < 3  # a mean, not a sum of four


def test_a_linear_fusion_net_is_softmax_regression(tmp_path: Path) -> None:
    """∂ loss / ∂ W = (p - y) xᵀ, summed over a patient's lesions."""
    cases, of, at = lesions(6), make_task("fusion/DCB", LINEAR), place(tmp_path)
    found = sum(compute_gradients("fusion/DCB", group_patients("fusion/DCB", cases), nets_of(of, at), of.rule, 1))
    x = nets_of(of, at).features("fusion/DCB", cases)
    start = select_net(of.inputs, "fusion/DCB")
    assert set(start) == {"out.weight", "out.bias"}
    p = torch.softmax(x @ start["out.weight"].T + start["out.bias"], dim=1)
    p[torch.arange(6), torch.tensor([find_target("fusion/DCB", s) for s in cases])] -= 1
    assert torch.allclose(found, torch.cat([(p.T @ x).reshape(-1), p.sum(0)]), atol=1e-5)


def test_no_labels_give_zeros_of_the_layout_and_few_are_no_reason_to_leave_patients_out(tmp_path: Path) -> None:
    of, few = make_task(trains="heads"), dataclasses.replace(place(tmp_path), minimum=5)
    sums = sum_patients(of, [lesion(1, label=None)], place(tmp_path))
    assert len(sums) == 6
    assert not flat(sums).any()
    assert flat(sum_patients(of, lesions(4), few)).any()  # at a minimum one patient would decide for the others


def test_a_value_that_is_not_a_number_counts_as_nothing(tmp_path: Path) -> None:
    broken = dataclasses.replace(lesion(50), flow_scale=math.nan)
    of = make_task(clip=0.1)
    sums = [sum_patients(of, cases, place(tmp_path)) for cases in (lesions(4), [*lesions(4), broken])]
    assert torch.equal(flat(sums[0]), flat(sums[1]))


def test_a_norm_that_mixes_lesions_and_a_rule_without_noise_are_declined(tmp_path: Path) -> None:
    mixing = recipe(dataclasses.replace(TINY, norm="batch_local"))
    with pytest.raises(TaskDeclined, match="norm group"):
        sum_patients(dataclasses.replace(make_task(), recipe=mixing), lesions(2), place(tmp_path))
    with pytest.raises(TaskDeclined, match="private rule"):
        sum_patients(task("train", (NET,)), lesions(2), place(tmp_path))
