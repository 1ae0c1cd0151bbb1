from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from toy_lesions import lesion, lesions, recipe, task, with_submodels

from ceus_models.protocol.messages import Architecture, LocalRule, Task
from ceus_models.study.sample import Sample
from client.policy.policy import TaskDeclined
from client.worker.tasks.devices.micro_batches import Losses, MicroBatches
from client.worker.tasks.inference import nets_of
from client.worker.tasks.place import Place
from client.worker.tasks.site_memory import SiteMemory
from client.worker.tasks.training import TrainingResult, autocast, run_epochs, select_labelled, trainer_of

FULL_STEP = LocalRule(batch_size=100, learning_rate=0.1, momentum=0.0)
BATCH_NORM = recipe(Architecture(10, 10, 8, 4, "batch_local"))


@pytest.fixture
def place(tmp_path) -> Place:
    return Place("site-01", SiteMemory(tmp_path / "memory"))


def trained(net: str, asked: Task, cases: list[Sample], place: Place) -> TrainingResult:
    answer = trainer_of(asked, place).train(net, cases)
    assert answer is not None
    return answer


def same(a: TrainingResult, b: TrainingResult) -> bool:
    return a.sums.keys() == b.sums.keys() and all(torch.equal(a.sums[n], b.sums[n]) for n in a.sums)


@pytest.mark.parametrize("net", ["disease/HCC", "disease/all", "biomarker/GPC3", "fusion/DCB"])
def test_one_federated_step_is_one_pooled_step(net: str, tmp_path) -> None:
    """Σ nₖ Δₖ / Σ nₖ = -η/N Σ wᵢ ∇ℓᵢ, because a batch's loss is divided by its lesions, not by Σ wᵢ."""
    weights = {"disease_HCC": (0.3, 4.0), "biomarker_GPC3": (2.0, 0.5), "disease_all": (0.2, 1.0, 3.0, 4.0, 2.0)}
    asked = task("train", (net,), recipe(**weights, fusion_DCB=(0.2, 1, 3, 4, 2, 5)), rule=FULL_STEP)
    asked = with_submodels(asked) if net.startswith("fusion") else asked
    sites = [lesions(2), lesions(7, first=2), lesions(5, first=9)]
    answers = [
        trained(net, asked, cases, Place(f"site-{i}", SiteMemory(tmp_path / str(i)))).sums
        for i, cases in enumerate(sites)
    ]
    pooled = trained(
        net, asked, [case for cases in sites for case in cases], Place("all", SiteMemory(tmp_path / "all"))
    ).sums
    total = sum(float(a["#weight"]) for a in answers)
    assert total == float(pooled["#weight"]) == 14
    assert sum(float(a["#loss"]) for a in answers) == pytest.approx(float(pooled["#loss"]), rel=1e-6)
    moved = 0.0
    for name in pooled.keys() - {"#weight", "#loss"}:
        federated = sum(a[name] for a in answers) / total
        torch.testing.assert_close(federated, pooled[name] / total, atol=1e-6, rtol=0)
        moved = max(moved, float(federated.abs().max()))
    assert moved > 1e-3  # the agreement is not that of zeros


TRUNK_RECIPE = recipe(disease_HCC=(0.3, 4.0), biomarker_GPC3=(2.0, 0.5))


def test_one_federated_step_of_a_trunk_is_one_pooled_step(tmp_path) -> None:
    """Lesions without a result for a head count in the divisor, so sites with few results do not count more."""
    asked = task("train", ("trunk",), replace(TRUNK_RECIPE, sharing="trunk"), rule=FULL_STEP)
    bare = [replace(s, label="OT", biomarkers=np.full(4, np.nan, np.float32)) for s in lesions(2, first=30)]
    sites = [[replace(s, biomarkers=np.full(4, np.nan, np.float32)) for s in lesions(2)], lesions(7, first=2) + bare]
    answers = [
        trained("trunk", asked, cases, Place(f"site-{i}", SiteMemory(tmp_path / str(i)))).sums
        for i, cases in enumerate(sites)
    ]
    pooled = trained("trunk", asked, [*sites[0], *sites[1]], Place("all", SiteMemory(tmp_path / "all"))).sums
    assert [float(a["#weight"]) for a in answers] == [2, 7]  # lesions without any result take no part
    assert answers[0]["#labelled"].tolist() == [2] * 5 + [0] * 4
    assert answers[1]["#labelled"].tolist() == [7] * 7 + [0, 7]
    for name in pooled:
        whole = sum(a[name] for a in answers)
        scale = float(pooled["#weight"]) if not name.startswith("#") else 1.0
        torch.testing.assert_close(whole / scale, pooled[name] / scale, atol=1e-6, rtol=1e-6)
    assert max(float(t.abs().max()) for n, t in pooled.items() if not n.startswith("#")) > 1e-2


def test_results_for_one_head_move_that_head_and_the_trunk(place: Place) -> None:
    """Few results for another head are too few to speak of, and a class of few lesions takes no part."""
    cases = [replace(s, label=None, biomarkers=np.array([np.nan, i % 2, 1 if i < 2 else np.nan, np.nan], np.float32))
             for i, s in enumerate(lesions(8))]  # fmt: skip
    asked = task("train", ("trunk",), replace(recipe(), sharing="trunk"), rule=FULL_STEP)
    for held_back in (replace(place, minimum=3), replace(place, cell=3)):
        found = trained("trunk", asked, cases, held_back).sums
        assert found["#labelled"].tolist() == [0] * 6 + [8, 0, 0]
        assert found["#loss"].tolist() == [0] * 6 + [float(found["#loss"][6]), 0, 0]
        for name in ("spatial_head.weight", "temporal_head.bias", "weighting.weight"):
            moved = found[name].reshape(9, -1).abs().sum(1)
            assert (moved > 0).tolist() == [place == 6 for place in range(9)]
        assert all(found[f"{part}.backbone.conv1.weight"].any() for part in ("spatial", "temporal"))
    assert trainer_of(asked, replace(place, minimum=9)).train("trunk", cases) is None


def quadratic(points: torch.Tensor) -> tuple[nn.Module, Losses]:
    """½ (w - xᵢ)² of each lesion, from w = 0."""
    module = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(module.weight)
    return module, lambda batch: 0.5 * (module.weight[0, 0] - points[batch]).square()


@pytest.mark.parametrize("mu", [0.0, 0.5, 3.0])
def test_fedprox_pull_in_closed_form(mu: float) -> None:
    """Gradient (w - x̄) + μ(w - w₀): with w₀ = 0, wₜ = x̄/(1+μ) · (1 - (1 - η(1+μ))ᵗ)."""
    points = torch.tensor([1.0, 2.0, 6.0])
    module, losses = quadratic(points)
    rule = LocalRule(epochs=7, batch_size=3, learning_rate=0.2, momentum=0.0, proximal_mu=mu)
    run_epochs(module, MicroBatches(module, losses), 3, rule, torch.Generator().manual_seed(0))
    expected = 3.0 / (1 + mu) * (1 - (1 - 0.2 * (1 + mu)) ** 7)
    assert module.weight.item() == pytest.approx(expected, rel=1e-5)


def test_momentum_clip_and_loss_in_closed_form() -> None:
    points = torch.tensor([4.0])
    module, losses = quadratic(points)
    rule = LocalRule(epochs=2, batch_size=1, learning_rate=0.1, momentum=0.5, clip=1.0)
    total = run_epochs(module, MicroBatches(module, losses), 1, rule, torch.Generator())
    # gradients -4 and -3.9 are clipped to -1: steps 0.1 and 0.1 · (1 + 0.5)
    assert module.weight.item() == pytest.approx(0.25)
    assert float(total) == pytest.approx((8 + 0.5 * 3.9**2) / 2)


def test_adamw_moves_by_the_learning_rate_at_first() -> None:
    module, losses = quadratic(torch.tensor([4.0]))
    rule = LocalRule(batch_size=1, learning_rate=0.01, optimizer="adamw")
    run_epochs(module, MicroBatches(module, losses), 1, rule, torch.Generator())
    assert module.weight.item() == pytest.approx(0.01, rel=1e-4)


def test_batches_are_even_and_shuffled_by_their_own_generator() -> None:
    seen: list[list[int]] = []
    module, losses = quadratic(torch.arange(9.0))

    def noted(batch: torch.Tensor) -> torch.Tensor:
        seen.append(batch.tolist())
        return losses(batch)

    rule = LocalRule(epochs=2, batch_size=4, learning_rate=0.01)
    run_epochs(module, MicroBatches(module, noted), 9, rule, torch.Generator().manual_seed(5))
    assert [len(b) for b in seen] == [3, 3, 3] * 2
    assert sorted(i for b in seen[:3] for i in b) == sorted(i for b in seen[3:] for i in b) == list(range(9))
    assert seen[:3] != seen[3:]


def test_same_numbers_whatever_the_global_state_and_order(place: Place) -> None:
    cases = lesions(9)
    asked = task("train", ("disease/HCC",), rule=LocalRule(batch_size=4, epochs=2))
    torch.manual_seed(1)
    first = trained("disease/HCC", asked, cases, place)
    torch.manual_seed(2)
    torch.rand(5)
    before = torch.get_rng_state()
    again = trained("disease/HCC", asked, cases[::-1], place)
    assert same(first, again)
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("change", [{"seed": 2}, {"round": 2}, {"stage": "other"}])
def test_batches_derive_from_seed_stage_and_round(change: dict, place: Place) -> None:
    cases = lesions(9)
    asked = task("train", ("disease/HCC",), rule=LocalRule(batch_size=2))
    other = Task(**{**vars(asked), **change})
    assert not same(trained("disease/HCC", asked, cases, place), trained("disease/HCC", other, cases, place))


@pytest.mark.parametrize("net", ["disease/HCC", "fusion/D"])
def test_changed_pictures_are_drawn_from_the_seed_and_leave_batches_and_fusion_alone(net: str, place: Place) -> None:
    cases = lesions(9)

    def under(augment: bool, **change: int) -> TrainingResult:
        asked = task("train", (net,), rule=LocalRule(batch_size=4, augment=augment), **change)
        return trained(net, with_submodels(asked) if net.startswith("fusion") else asked, cases, place)

    assert same(under(True), under(True))
    assert same(under(True), under(False)) == net.startswith("fusion")


def test_sites_shuffle_apart(tmp_path) -> None:
    asked = task("train", ("disease/HCC",), rule=LocalRule(batch_size=2))
    a, b = (trained("disease/HCC", asked, lesions(9), Place(n, SiteMemory(tmp_path))) for n in ("a", "b"))
    assert not same(a, b)


def test_the_task_is_not_changed(place: Place) -> None:
    asked = task("train", ("disease/HCC",))
    before = {name: tensor.clone() for name, tensor in asked.inputs.items()}
    trained("disease/HCC", asked, lesions(4), place)
    assert all(torch.equal(before[name], tensor) for name, tensor in asked.inputs.items())


def test_only_labelled_lesions_count(place: Place) -> None:
    cases = [lesion(0), lesion(1, label=None), lesion(2, label="OT"), lesion(3, marker=float("nan"))]
    assert [s.key for s in select_labelled("disease/HCC", cases)[0]] == [cases[0].key, cases[3].key]
    assert [s.key for s in select_labelled("biomarker/Hep", cases)[0]] == [s.key for s in cases[:3]]
    assert select_labelled("fusion/D", cases)[1] == [0, 5, 3]
    asked = task("train", ("disease/HCC",), rule=FULL_STEP)
    with_all = trained("disease/HCC", asked, cases, place)
    assert float(with_all.sums["#weight"]) == 2
    assert same(with_all, trained("disease/HCC", asked, [cases[0], cases[3]], place))


def test_a_net_without_labels_is_left_out(place: Place, tmp_path) -> None:
    asked = task("train", ("biomarker/CK7",))  # never tested in toy lesions
    assert trainer_of(asked, place).train("biomarker/CK7", lesions(4)) is None
    strict = Place("site-01", SiteMemory(tmp_path), minimum=5)
    assert trainer_of(task("train", ("disease/HCC",)), strict).train("disease/HCC", lesions(4)) is None


def test_no_sum_has_the_size_of_the_batch(place: Place) -> None:
    asked = task("train", ("disease/all",))
    few, many = (trained("disease/all", asked, lesions(n), place).sums for n in (3, 8))
    assert {n: (t.shape, t.dtype) for n, t in few.items()} == {n: (t.shape, t.dtype) for n, t in many.items()}
    assert {t.dtype for n, t in few.items() if not n.startswith("#")} == {torch.float32}


def washing_out(number: int) -> Sample:
    """HCC loses its enhancement, the others keep it; all else is noise."""
    one = lesion(number)
    curve = np.array([0.1, 0.9, 1, 0.5, 0.2] if one.label == "HCC" else [0.1, 0.9, 1, 0.9, 0.8])
    noise = np.random.default_rng(number).gamma(4, 0.25, (5, 16, 16))
    frames = np.clip(150 * curve[:, None, None] * noise, 0, 255).astype(np.uint8)
    return replace(one, frames=frames)


def test_rounds_learn_the_kinetics(place: Place) -> None:
    net = "disease/HCC"
    asked = task("train", (net,), rule=LocalRule(batch_size=8, learning_rate=0.05, momentum=0.8))
    cases = [washing_out(i) for i in range(20)]
    losses = []
    for number in range(1, 13):
        sums = trained(net, Task(**{**vars(asked), "round": number}), cases, place).sums
        losses.append(float(sums["#loss"]))
        state = {n: t + sums[n.split("|")[1]] / 20 for n, t in asked.inputs.items()}
        asked = Task(**{**vars(asked), "inputs": state})
    assert losses[-1] < 0.6 * losses[0]
    unseen = [washing_out(i) for i in range(100, 120)]
    p = nets_of(Task(**{**vars(asked), "kind": "evaluate"}), place).probabilities(net, unseen)[:, 0]
    hcc = np.array([s.label == "HCC" for s in unseen])
    assert p[hcc].min() > p[~hcc].max()


def test_batch_norm_stays_and_goes_on_from_the_last_round(place: Place) -> None:
    asked = task("train", ("disease/HCC",), BATCH_NORM)
    first = trained("disease/HCC", asked, lesions(6), place)
    assert not any("bn1" in name or "downsample.1" in name for name in first.sums)
    second = Task(**{**vars(asked), "round": 2})
    with_memory = trained("disease/HCC", second, lesions(6), place)
    assert same(first, trained("disease/HCC", asked, lesions(6), place))  # round 1 asked again
    fresh = Place("site-01", SiteMemory(place.memory.folder / "elsewhere"))
    assert not same(with_memory, trained("disease/HCC", second, lesions(6), fresh))


def test_bfloat16_only_where_it_is_native(monkeypatch: pytest.MonkeyPatch) -> None:
    for native in (True, False):
        monkeypatch.setattr("client.worker.tasks.training._native_bfloat16", lambda device, native=native: native)
        with autocast(torch.device("cpu"), "bfloat16"):
            dtype = nn.Linear(2, 2)(torch.ones(1, 2)).dtype
        assert dtype == (torch.bfloat16 if native else torch.float32)


def test_a_task_without_rule_is_declined(place: Place) -> None:
    with pytest.raises(TaskDeclined, match="rule"):
        trainer_of(task("train", ("disease/HCC",), rule=None), place).train("disease/HCC", lesions(2))


def test_a_class_of_few_lesions_takes_no_part(place: Place) -> None:
    """Class weights of one class alone would otherwise single out its lone lesion."""
    cases = [*lesions(10), lesion(40, label="OT")]
    lone = [s for s in cases if s.label == "OT"]
    kept, answers = select_labelled("fusion/DCB", cases, cell=2)
    assert len(lone) == 1
    assert lone[0] not in kept
    assert len(kept) == len(answers) == len(select_labelled("fusion/DCB", cases)[0]) - 1
