"""Heads and linear fusion nets with the bounds, grid, noise and averages of private training, all patients at once.

A site takes one patient's gradient after the other; the first of every round is compared with the site's own code.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as nnf

from ceus_models.nets.fusion import build_fusion_inputs
from ceus_models.nets.losses import build_class_weights
from ceus_models.nets.module_cache import build_initial_state
from ceus_models.nets.trained_parameters import list_trained
from ceus_models.nets.two_stream import combine_logits
from ceus_models.plan.plan import Plan, load_plan
from ceus_models.protocol.messages import LocalRule, PrivateRule, Recipe, Task
from ceus_models.protocol.privacy.discrete_gaussian import draw_noise
from ceus_models.protocol.privacy.gradient_grid import clip_to_grid, compute_grid_step
from ceus_models.protocol.state import add_prefix, concatenate, split_like
from ceus_models.study.sample import Sample
from ceus_models.study.targets import find_target
from ceus_models.study.taxonomy import SUBMODELS, count_outputs
from client.data.dataset.samples import load_samples
from client.data.forms.site_config import load_site
from client.worker.tasks.inference import nets_of
from client.worker.tasks.place import Place
from client.worker.tasks.private_training import summarise_lesions
from client.worker.tasks.site_memory import SiteMemory

PLAN = Path("configs/plan.private.yaml")
Floats = npt.NDArray[np.float64]
Heads = Mapping[str, Mapping[str, Tensor]]
Submodels = Callable[[str], npt.NDArray[np.float32]]
"""Probabilities (n 9) of a cohort's lesions."""
Loss = Callable[[Mapping[str, Tensor], Tensor, Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Settings:
    """How nets are trained."""

    rate: float
    rounds: int = 50
    momentum: float = 0.0
    clip: float = 1.0
    views: int = 1


@dataclass(frozen=True)
class Noise:
    """The noise of one net's sums: its standard deviation in bounds, and the name of its draws."""

    multiplier: float
    name: str

    def key(self, turn: int) -> bytes:
        return hashlib.sha256(f"{self.name}|{turn}".encode()).digest()


@dataclass(frozen=True, eq=False)
class Bench:
    """The lesions of all hospitals, one study seed, and where summaries are kept."""

    plan: Plan
    samples: Mapping[str, list[Sample]]
    seed: int
    memory: Path

    @cached_property
    def recipe(self) -> Recipe:
        given = self.plan.given
        assert given is not None
        return given.recipe(self.plan.architecture, self.plan.fusion_hidden)

    def task(self, net: str, start: Mapping[str, Tensor], views: int) -> Task:
        rule = LocalRule(momentum=0.0, trains="heads", private=PrivateRule(1.0, 1.0, views=views))
        inputs = add_prefix(start, f"{net}|")
        return Task("train", "bench", self.seed, "s", 1, (net,), inputs=inputs, rule=rule, recipe=self.recipe)

    def summaries(self, net: str, cohort: str, views: int) -> Tensor:
        """(n views summary) of a cohort's lesions, in their order."""
        task = self.task(net, build_initial_state(net, self.recipe, self.seed), views)
        nets = nets_of(task, Place("all", SiteMemory(self.memory)))
        rows = summarise_lesions(net, self.samples[cohort], nets, views)
        return torch.stack([rows[s.key] for s in self.samples[cohort]])


def score_heads(heads: Mapping[str, Tensor], rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Logits of the three heads (n 1) from summaries (n summary)."""
    looks, motion = rows.chunk(2, dim=-1)
    spatial = nnf.linear(looks, heads["spatial_head.weight"], heads["spatial_head.bias"])
    temporal = nnf.linear(motion, heads["temporal_head.weight"], heads["temporal_head.bias"])
    gate = nnf.linear(rows, heads["weighting.weight"], heads["weighting.bias"])
    return spatial, temporal, combine_logits(spatial, temporal, gate)


def head_loss(like: Mapping[str, Tensor], flat: Tensor, rows: Tensor, right: Tensor) -> Tensor:
    """Loss of one lesion from its views (v summary). right: (2) the class weight at the right answer, else 0."""
    wanted = (right[1] > 0).float().expand(len(rows), 1)
    parts = score_heads(split_like(flat, like), rows)
    each = [nnf.binary_cross_entropy_with_logits(logits, wanted, reduction="none") for logits in parts]
    return right.sum() * torch.stack(each).sum(0).mean()


def fusion_loss(like: Mapping[str, Tensor], flat: Tensor, row: Tensor, right: Tensor) -> Tensor:
    """Loss of one lesion from its inputs (inputs). right: (6) as in `head_loss`."""
    net = split_like(flat, like)
    return -(right * nnf.log_softmax(nnf.linear(row, net["out.weight"], net["out.bias"]), dim=-1)).sum()


@dataclass(frozen=True, eq=False)
class Lesions:
    """Training data of one net. rows: (n ...) what it sees · right: (n classes) · patients: (n) numbers from 0."""

    rows: Tensor
    right: Tensor
    patients: Tensor


def clip_rows(gradients: Tensor, clip: float) -> Tensor:
    """`clip_to_grid` of many patients (n d) at once; the first is compared with it."""
    step = compute_grid_step(clip, gradients.shape[1])
    wide = gradients.double()
    bound = (clip - step * math.sqrt(gradients.shape[1]) / 2) * (1 - 2.0**-40)
    whole = (wide * (bound / wide.norm(dim=1, keepdim=True)).clamp(max=1.0) / step).round().long()
    if int((whole[0] - clip_to_grid(gradients[0], clip)).abs().max()) > 1:  # norms are summed in another order
        raise RuntimeError("the benchmark's gradients are not a site's")
    return whole


def train(start: Mapping[str, Tensor], loss: Loss, data: Lesions, how: Settings, noise: Noise) -> dict[str, Tensor]:
    """The averaged parameters of the later half of the rounds."""
    gradient = torch.func.vmap(torch.func.grad(partial(loss, start)), in_dims=(None, 0, 0))
    flat, patients = concatenate(start.values()), int(data.patients.max()) + 1
    velocity, mean = torch.zeros(len(flat), dtype=torch.float64), torch.zeros(len(flat), dtype=torch.float64)
    step = compute_grid_step(how.clip, len(flat))
    for turn in range(1, how.rounds + 1):
        each = torch.zeros(patients, len(flat)).index_add_(0, data.patients, gradient(flat, data.rows, data.right))
        total = clip_rows(each, how.clip).sum(0)
        if noise.multiplier:
            total += torch.from_numpy(draw_noise(noise.key(turn), noise.multiplier * how.clip / step, len(flat)))
        velocity = how.momentum * velocity - how.rate * total.double() * step / patients
        flat = (flat.double() + velocity).float()
        if turn > how.rounds // 2:
            mean += flat.double() / (how.rounds - how.rounds // 2)
    return split_like(mean.float(), start)


def labelled(net: str, samples: Sequence[Sample]) -> tuple[list[int], list[int], list[str]]:
    """Places, targets and patients of the lesions that have a right answer."""
    found = [(i, find_target(net, s), s.patient) for i, s in enumerate(samples)]
    kept = [(i, t, p) for i, t, p in found if t is not None]
    return [i for i, _, _ in kept], [t for _, t, _ in kept], [p for _, _, p in kept]


def lesions_of(bench: Bench, net: str, cohort: str, rows: Tensor) -> Lesions:
    """What a net is trained on, from rows (n ...) of a whole cohort."""
    places, targets, patients = labelled(net, bench.samples[cohort])
    weights = build_class_weights(net, max(2, count_outputs(net)), bench.recipe, torch.device("cpu"))
    numbers = {patient: number for number, patient in enumerate(sorted(set(patients)))}
    right = nnf.one_hot(torch.tensor(targets), len(weights)) * weights
    return Lesions(rows[places], right, torch.tensor([numbers[p] for p in patients]))


def train_heads(bench: Bench, net: str, how: Settings, noise: Noise) -> dict[str, Tensor]:
    """The trained heads of a sub-model."""
    initial = build_initial_state(net, bench.recipe, bench.seed)
    start = {n: initial[n] for n in list_trained(initial, "heads")}
    data = lesions_of(bench, net, "training_a", bench.summaries(net, "training_a", how.views))
    return train(start, head_loss, data, how, noise)


def submodel_probabilities(bench: Bench, heads: Heads, cohort: str) -> npt.NDArray[np.float32]:
    """(n 9) of a cohort's lesions."""
    columns = [
        torch.sigmoid(score_heads(heads[net], bench.summaries(net, cohort, 1)[:, 0])[2])[:, 0] for net in SUBMODELS
    ]
    return torch.stack(columns, dim=1).numpy()


def train_fusion(bench: Bench, net: str, submodels: Submodels, how: Settings, noise: Noise) -> dict[str, Tensor]:
    """The trained linear fusion net."""
    features = build_fusion_inputs(net, submodels("training_b"), bench.samples["training_b"], bench.recipe)
    start = build_initial_state(net, bench.recipe, bench.seed)
    return train(start, fusion_loss, lesions_of(bench, net, "training_b", features), how, noise)


def scores_of(
    bench: Bench, net: str, submodels: Submodels, fused: Mapping[str, Tensor], cohorts: Sequence[str]
) -> tuple[Floats, list[int], list[str]]:
    """Probabilities (n 6), targets and patients of the labelled lesions of some cohorts."""
    probabilities, targets, patients = [], [], []
    for cohort in cohorts:
        samples = bench.samples[cohort]
        x = build_fusion_inputs(net, submodels(cohort), samples, bench.recipe)
        places, right, who = labelled(net, samples)
        p = torch.softmax(nnf.linear(x, fused["out.weight"], fused["out.bias"]).double(), dim=1).numpy()
        probabilities.append(p[places])
        targets += right
        patients += who
    return np.concatenate(probabilities), targets, patients


def load_bench(hospitals: Path, memory: Path, seed: int) -> Bench:
    """All lesions of indexed hospitals, by cohort."""
    plan = load_plan(PLAN)
    samples: dict[str, list[Sample]] = {}
    for folder in sorted(hospitals.iterdir()):
        for sample in load_samples(load_site(folder), plan.processing):
            samples.setdefault(sample.cohort, []).append(replace(sample, patient=f"{folder.name}|{sample.patient}"))
    return Bench(plan, {c: sorted(s, key=lambda x: x.key) for c, s in samples.items()}, seed, memory)
