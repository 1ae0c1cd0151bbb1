"""Private stages at the coordinator: the step, the divisor, the average, and what is not there."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from toy_lesions import lesions, recipe, task

from ceus_models.nets.losses import build_class_weights, compute_lesion_losses
from ceus_models.nets.module_cache import build_initial_state, load_net
from ceus_models.nets.two_stream import prepare_inputs
from ceus_models.plan.answers.answer_schema import find_shape_fault, groups_of
from ceus_models.plan.progress import Progress
from ceus_models.plan.rounds.any_stage import find_rounds
from ceus_models.plan.strategies import FedAvg, FedAvgM, FedProx
from ceus_models.plan.terms.participation import RoundRecord
from ceus_models.plan.terms.settings import Study
from ceus_models.plan.train_stage import Train
from ceus_models.protocol.message_ids import ReceivedTask
from ceus_models.protocol.messages import LocalRule, PrivateRule, Quantisation, Task, Update
from ceus_models.protocol.sums import ExactSum
from ceus_models.runtime.errors import ExpectedError
from ceus_models.study.targets import find_target
from client.worker.privacy.noise import add_noise
from client.worker.tasks.place import Place
from client.worker.tasks.private_training import sum_patients
from client.worker.tasks.site_memory import SiteMemory

NET = "disease/HCC"
STUDY = Study("plan", 7, "processing", recipe().architecture, recipe=recipe())
COUNTED = RoundRecord("t", "train", 1, counted=("a", "b"))


def stage(rounds: int = 1, rate: float = 0.5, trains: str = "all", **changes: object) -> Train:
    private = changes.pop("private", PrivateRule(clip=100.0, noise=1e-9, sites=2))
    rule = LocalRule(momentum=0.0, learning_rate=rate, trains=trains, private=private)
    return Train("train", "t", (NET,), ("training_a",), rounds, rule=rule, level="distributed", **changes)


def held(**patients: int) -> dict[str, dict[str, int]]:
    return {site: {"training_a": count} for site, count in patients.items()}


def test_the_step_is_the_rate_times_the_sum_over_the_declared_patients() -> None:
    of = stage(rate=0.5)
    before = find_rounds(of).prepare(Progress(patients=held(a=3, b=5, c=90)), STUDY)
    total = {f"{NET}|{name}": torch.full_like(t, 16.0).double() for name, t in before.nets[NET].items()}
    after = find_rounds(of).absorb(before, STUDY, total, COUNTED)
    assert before.recipe == STUDY.recipe
    assert all(torch.allclose(after.nets[NET][n], t - 0.5 * 16 / 8) for n, t in before.nets[NET].items())
    assert after.curves == ()


def test_one_round_at_one_site_is_the_step_of_pooled_training(tmp_path: Path) -> None:
    """Bound and noise beyond notice: local steps, grid, wire, sum and step together are one full-batch step."""
    cases = lesions(6)
    of = stage(rate=0.1, private=PrivateRule(clip=100.0, noise=1e-9))
    before = find_rounds(of).prepare(Progress(patients=held(a=3)), STUDY)
    asked = find_rounds(of).task(before, STUDY)
    sums = sum_patients(asked, cases, Place("a", SiteMemory(tmp_path / "memory")))
    total = ExactSum()
    total.add(
        find_rounds(of).summand(asked, Update("a", add_noise(ReceivedTask(asked), sums, tmp_path / "records"), 0.0))
    )
    after = find_rounds(of).absorb(before, STUDY, total.take_float64(), dataclasses.replace(COUNTED, counted=("a",)))
    kept = load_net(NET, recipe(), before.nets[NET], None, torch.device("cpu"))
    output = kept.module(*prepare_inputs(cases, recipe().normaliser, torch.device("cpu")))
    weights = build_class_weights(NET, 2, recipe(), torch.device("cpu"))
    targets = torch.tensor([find_target(NET, s) for s in cases])
    losses = compute_lesion_losses(output, targets, weights, recipe().architecture.loss_weights)
    gradients = torch.autograd.grad(losses.sum(), list(kept.module.parameters()))
    for (name, parameter), gradient in zip(kept.module.named_parameters(), gradients, strict=True):
        wanted = parameter.detach() - 0.1 * gradient / 3  # three patients of two lesions each
        assert torch.allclose(after.nets[NET][name], wanted, atol=1e-3)
        assert not torch.allclose(after.nets[NET][name], parameter.detach(), atol=1e-4) or gradient.abs().max() < 0.01


def test_heads_move_and_the_backbone_stays() -> None:
    of = stage(trains="heads")
    before = find_rounds(of).prepare(Progress(patients=held(a=4, b=4)), STUDY)
    asked = find_rounds(of).task(before, STUDY)
    assert (asked.level, asked.rule) == ("distributed", of.rule)
    names = groups_of(asked)[NET]
    assert {name.split("|")[1].split(".")[0] for name in names} == {"spatial_head", "temporal_head", "weighting"}
    total = {name: torch.ones(spec.shape, dtype=torch.float64) for name, spec in names.items()}
    after = find_rounds(of).absorb(before, STUDY, total, COUNTED)
    moved = {n for n, t in before.nets[NET].items() if not torch.equal(t, after.nets[NET][n])}
    assert {f"{NET}|{name}" for name in moved} == set(names)


def test_momentum_is_the_coordinators_and_the_result_is_the_mean_of_the_later_half() -> None:
    of = stage(rounds=5, rate=1.0, trains="heads", strategy=FedAvgM(momentum=0.5))
    progress = find_rounds(of).prepare(Progress(patients=held(a=1, b=0)), STUDY)
    start = progress.nets[NET]["weighting.bias"].clone()
    totals = {
        n: torch.ones(s.shape, dtype=torch.float64)
        for n, s in groups_of(find_rounds(of).task(progress, STUDY))[NET].items()
    }
    position, velocity, seen = 0.0, 0.0, []
    for turn in range(5):
        progress = find_rounds(of).absorb(progress, STUDY, totals, COUNTED)
        velocity = 0.5 * velocity - 1.0
        position += velocity
        seen.append(position)
        if turn < 4:
            assert torch.allclose(progress.nets[NET]["weighting.bias"], start + position)
            progress = dataclasses.replace(progress, step=turn + 1)
    assert torch.allclose(progress.nets[NET]["weighting.bias"], start + sum(seen[2:]) / 3)
    assert progress.memory == {}


def test_too_few_sites_for_the_noise_stop_the_study() -> None:
    of = stage()
    before = find_rounds(of).prepare(Progress(patients=held(a=4, b=4)), STUDY)
    with pytest.raises(ExpectedError, match="made of 2 sites' shares, and only 1 sites"):
        find_rounds(of).absorb(before, STUDY, {}, dataclasses.replace(COUNTED, counted=("a",)))


def test_an_answer_says_neither_its_loss_nor_its_weight() -> None:
    of = stage()
    asked: Task = find_rounds(of).task(find_rounds(of).prepare(Progress(patients=held(a=4)), STUDY), STUDY)
    groups = groups_of(asked)
    start = build_initial_state(NET, recipe(), 7)
    assert set(groups[NET]) == {f"{NET}|{name}" for name in start}
    honest = {name: torch.zeros(spec.shape) for name, spec in groups[NET].items()}
    assert find_shape_fault(honest, groups) is None
    assert "only tensors of the task" in str(find_shape_fault({**honest, f"{NET}|#loss": torch.zeros(())}, groups))
    assert f"{NET}|#weight" in groups_of(task("train", (NET,)))[NET]
    assert stage(strategy=FedAvg()).strategy == FedAvg()


def test_a_cosine_schedule_falls_from_the_rate_of_the_rule_towards_zero() -> None:
    """Against torch's own schedule, in the tasks as sites get them; nothing else of the rule changes."""
    rule = LocalRule(learning_rate=0.2, epochs=3)
    of = Train("train", "t", (NET,), ("training_a",), 5, FedProx(0.1), rule, schedule="cosine")
    before = find_rounds(of).prepare(Progress(), STUDY)
    asked = [find_rounds(of).task(dataclasses.replace(before, step=step), STUDY).rule for step in range(5)]
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.2)
    falling, expected = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=5), []
    for _ in asked:
        expected.append(falling.get_last_lr()[0])
        optimizer.step()
        falling.step()
    assert [r.learning_rate for r in asked if r] == pytest.approx(expected)
    assert asked[0] == dataclasses.replace(rule, proximal_mu=0.1)
    assert all(r and dataclasses.replace(r, learning_rate=0.2) == asked[0] for r in asked)


def test_a_falling_rate_is_refused_beside_a_private_rule() -> None:
    with pytest.raises(ValueError, match="schedule constant under a private rule"):
        stage(schedule="cosine")


def test_changes_in_few_bits_are_refused_beside_a_private_rule() -> None:
    with pytest.raises(ValueError, match="no changes under a private rule"):
        stage(changes=Quantisation(8))


def test_a_change_smaller_than_the_last_place_of_bfloat16_is_not_lost() -> None:
    """The coordinator adds it to its own net in float32, from which each round's weights are rounded anew."""
    of = Train("train", "t", (NET,), ("training_a",), 3, weights="bfloat16", changes=Quantisation(8))
    progress = dataclasses.replace(find_rounds(of).prepare(Progress(), STUDY), step=1)
    asked = find_rounds(of).task(progress, STUDY)
    first = find_rounds(of).task(dataclasses.replace(progress, step=0), STUDY)
    for sent, dtype in ((asked, torch.bfloat16), (first, torch.float32)):
        assert {t.dtype for n, t in sent.inputs.items() if "#" not in n} == {dtype}
    start = progress.nets[NET]
    numbers = sum(t.numel() for t in start.values())
    notes = {f"{NET}|#weight": torch.tensor(2.0).double(), f"{NET}|#loss": torch.tensor(1.0).double()}
    small = Update("a", {**notes, f"{NET}|change": torch.ones(numbers, dtype=torch.int8)}, 2.0)
    total = ExactSum()
    total.add(find_rounds(of).summand(asked, small))
    after = find_rounds(of).absorb(progress, STUDY, total.take_float64(), COUNTED)
    steps = dict(zip(start, asked.inputs[f"{NET}|#steps"].tolist(), strict=True))
    for name, tensor in after.nets[NET].items():
        assert torch.equal(tensor, (start[name].double() + steps[name]).float())
    assert torch.equal(after.memory[f"sizes|{NET}"]["rms"], asked.inputs[f"{NET}|#steps"])  # all numbers are one step
