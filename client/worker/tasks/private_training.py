"""Training with differential privacy: one clipped gradient a patient, added as whole numbers (Abadi et al. 2016).

A patient is the unit: his gradient is that of the sum of his lesions' losses in all heads of a net, by a backward pass
of its own, so that no other patient's presence moves its last bit. Every patient takes part in every round. What comes
out is the exact sum; `client.worker.privacy.noise` adds the noise before it leaves.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from typing import cast

import torch
from torch import Tensor

from ceus_models.nets.losses import build_head_weights, compute_head_losses
from ceus_models.nets.trained_parameters import list_trained
from ceus_models.nets.two_stream import AUGMENT_DRAWS, Output, TwoStream, augment_images, prepare_inputs
from ceus_models.protocol.messages import LocalRule, Task
from ceus_models.protocol.privacy.gradient_grid import LARGEST, clip_to_grid, compute_grid_step
from ceus_models.protocol.state import State, add_prefix, concatenate, digest, split_like
from ceus_models.runtime.seeds import derive_seed
from ceus_models.study.sample import Sample
from ceus_models.study.taxonomy import FUSION_NETS
from client.policy.policy import TaskDeclined
from client.worker.tasks.inference import TaskNets, content_key, nets_of
from client.worker.tasks.place import Place
from client.worker.tasks.training import autocast, collect_targets

Patient = list[tuple[Sample, tuple[int, ...]]]
"""A patient's lesions with their right answers for each head of a net."""
Predict = Callable[[Sequence[Sample]], Output | Tensor]
"""Lesions (b) → scores (b · views)."""


def sum_patients(task: Task, samples: Sequence[Sample], place: Place) -> dict[str, Tensor]:
    """`<net>|<parameter>` of every net of the task: the sum of its patients' gradients, multiples of the grid's step.

    A net for which the site has too few labels gets zeros, so that the noise hides that too. Raises TaskDeclined where
    the task has no private rule, or a norm that mixes lesions.
    """
    rule, nets = task.rule, nets_of(task, place)
    if rule is None or rule.private is None:
        raise TaskDeclined("error", "private training needs a private rule, and this task brings none")
    if nets.recipe.architecture.norm != "group":
        raise TaskDeclined("error", f"private training needs norm group, the task has {nets.recipe.architecture.norm}")
    sums: dict[str, Tensor] = {}
    for net in task.nets:
        start = nets.start(net)
        trained = {name: start[name] for name in list_trained(start, rule.trains)}
        total = torch.zeros(sum(t.numel() for t in trained.values()), dtype=torch.int64)
        for gradient in compute_gradients(net, group_patients(net, samples), nets, rule, task.round):
            total += clip_to_grid(gradient, rule.private.clip).cpu()
        step = compute_grid_step(rule.private.clip, len(total))
        whole = total.clamp(-LARGEST, LARGEST)  # which brings no two sums further apart
        sums |= add_prefix(split_like((whole * step).float(), trained), f"{net}|")
    return sums


def group_patients(net: str, samples: Sequence[Sample]) -> list[Patient]:
    """The patients with labelled lesions for a net, sorted; all: a minimum would let one decide for the others."""
    cases, answers = collect_targets(net, samples)
    patients: dict[str, Patient] = {}
    for sample, answer in zip(cases, answers, strict=True):
        patients.setdefault(sample.patient, []).append((sample, answer))
    return [patients[name] for name in sorted(patients)]


def compute_gradients(
    net: str, patients: Sequence[Patient], nets: TaskNets, rule: LocalRule, turn: int
) -> Iterator[Tensor]:
    """Each patient's gradient (d) over all his lesions, averaged over views, not clipped. turn: of the views' draws."""
    if not patients:
        return
    device = nets.place.device
    predict, parameters = _ready(net, patients, nets, rule, turn)
    weights = build_head_weights(net, nets.recipe, device)
    for patient in patients:
        with autocast(device, rule.precision):
            scores = predict([sample for sample, _ in patient])
        views = len(scores if isinstance(scores, Tensor) else scores.final) // len(patient)
        targets = torch.tensor([answer for _, answer in patient], device=device).repeat_interleave(views, dim=0)
        losses = compute_head_losses(scores, targets, weights, nets.recipe.architecture.loss_weights)
        yield concatenate(torch.autograd.grad(losses.sum() / views, parameters))


def _ready(
    net: str, patients: Sequence[Patient], nets: TaskNets, rule: LocalRule, turn: int
) -> tuple[Predict, list[Tensor]]:
    """How the net is asked, and the parameters that change."""
    lesions = [sample for patient in patients for sample, _ in patient]
    views = rule.private.views if rule.private else 1
    rows: dict[str, Tensor] = {}
    if net in FUSION_NETS:  # before the net is filled: asking the sub-models uses the same kept modules
        rows = dict(zip((s.key for s in lesions), nets.features(net, lesions), strict=True))
    elif rule.trains == "heads":
        rows = summarise_lesions(net, lesions, nets, views)
    kept, _ = nets.load(net, nets.start(net))
    kept.module.train()
    parameters = [kept.tensors[name] for name in list_trained(nets.start(net), rule.trains)]
    if net in FUSION_NETS:
        return lambda cases: cast(Tensor, kept.module(torch.stack([rows[s.key] for s in cases]))), parameters
    module = cast(TwoStream, kept.module)
    if rule.trains == "all":
        return lambda cases: cast(Output, module(*_view_lesions(cases, nets, views, turn))), parameters

    def score(cases: Sequence[Sample]) -> Output:
        looks, motion = torch.cat([rows[s.key] for s in cases]).to(nets.place.device).chunk(2, dim=1)
        return module.score_summaries(looks, motion)

    return score, parameters


def summarise_lesions(net: str, lesions: Sequence[Sample], nets: TaskNets, views: int) -> dict[str, Tensor]:
    """Both branches' summaries (views 2·summary) of lesions by key, computed once per lesion and frozen weights.

    Each lesion is a batch of its own, so that its summaries do not depend on the others.
    """
    start, memory = nets.start(net), nets.place.memory
    place = _summary_key(start, nets, views)
    table = memory.table(place)
    marks = {sample.key: content_key(sample) for sample in lesions}
    fresh = [sample for sample in lesions if marks[sample.key] not in table]
    if fresh:
        module = cast(TwoStream, nets.load(net, start)[0].module).eval()
        with torch.no_grad():
            made = {marks[s.key]: _summarise(module, *_view_lesions([s], nets, views, 0)) for s in fresh}
        table = {**table, **made}
        memory.keep_table(place, table)
    return {key: table[mark] for key, mark in marks.items()}


def _summarise(module: TwoStream, frames: Tensor, flow: Tensor) -> Tensor:
    return torch.cat([module.spatial(frames), module.temporal(flow)], dim=1).cpu()


def _view_lesions(lesions: Sequence[Sample], nets: TaskNets, views: int, turn: int) -> tuple[Tensor, Tensor]:
    """Inputs of the lesions (b · views …); one view is the lesion as it is, more are augmented by public draws."""
    place = nets.place
    frames, flow = prepare_inputs(lesions, nets.recipe.normaliser, place.device, place.compute.stack)
    if views == 1:
        return frames, flow
    draws = [torch.Generator().manual_seed(derive_seed("views", s.key, turn)) for s in lesions]
    chosen = torch.cat([torch.rand(views, AUGMENT_DRAWS, generator=g) for g in draws]).to(frames.device)
    return augment_images(frames.repeat_interleave(views, 0), flow.repeat_interleave(views, 0), chosen)


def _summary_key(start: State, nets: TaskNets, views: int) -> str:
    """All that a lesion's summaries depend on, but the lesion."""
    heads = list_trained(start, "heads")
    frozen = digest({name: tensor for name, tensor in start.items() if name not in heads})
    parts = ["summaries", frozen, str(nets.recipe.architecture), str(nets.recipe.normaliser), str(views)]
    return hashlib.sha256("|".join(parts).encode()).hexdigest()
