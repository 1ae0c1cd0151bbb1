"""Membership inference: whether a patient was in the training of a released fusion net (LiRA, Carlini et al. 2022)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as nnf

from ceus_models.nets.factory import CPU
from ceus_models.nets.losses import build_class_weights
from ceus_models.nets.module_cache import build_initial_state, load_net
from ceus_models.protocol.messages import Recipe, Task
from ceus_models.protocol.state import State, add_prefix, select_net
from ceus_models.study.sample import Sample
from ceus_models.study.taxonomy import LESION_TYPES
from sim.attacks.coordinator import CuriousCoordinator
from sim.attacks.crafted.fusion_net import TYPES, Floats, build_constant_submodels, build_inputs
from sim.attacks.crafted.traps import COHORT
from sim.attacks.facts import Fact, Score

NET = "fusion/DCB"
SHADOWS = 48
ROUNDS = 10
_STEPS = 120
_RATE = 0.05
_PATIENTS = 70.0
"""About as many take part: the length of a private step depends on it."""
_FALSE_ALARMS = 0.01
_LEAST_SPREAD = 1e-3
_SURE = 1.64
"""Standard deviations above chance, of 95 % on one side."""


@dataclass(frozen=True, eq=False)
class Candidates:
    """Lesions whose patients may have taken part: features (n inputs), targets (n), and the patient (n) of each."""

    features: Tensor
    targets: Tensor
    patients: npt.NDArray[np.int64]
    recipe: Recipe

    def score(self, state: State) -> Floats:
        """(patients) mean logit of the true type under a net, of each patient's lesions."""
        kept = load_net(NET, self.recipe, state, None, CPU)
        with torch.inference_mode():
            logs = nnf.log_softmax(kept.module(self.features).double(), dim=1)
        true = logs.gather(1, self.targets[:, None])[:, 0].numpy()
        logit = true - np.log(np.maximum(-np.expm1(true), 1e-12))
        return np.asarray(np.bincount(self.patients, logit) / np.bincount(self.patients))

    def train(self, inside: npt.NDArray[np.bool_], state: State) -> State:
        """A net trained on the lesions of some patients together, from `state`: the attacker's shadow of the study."""
        kept = load_net(NET, self.recipe, state, None, CPU)
        rows = torch.from_numpy(np.flatnonzero(inside[self.patients]))
        weights = build_class_weights(NET, TYPES, self.recipe, CPU)[self.targets[rows]]
        optimizer = torch.optim.SGD(kept.module.parameters(), lr=_RATE, momentum=0.9)
        for _ in range(_STEPS):
            optimizer.zero_grad()
            each = nnf.cross_entropy(kept.module(self.features[rows]), self.targets[rows], reduction="none")
            (weights * each).mean().backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        return {name: tensor.detach().clone() for name, tensor in kept.list_shared()}


def recover_members(attacker: CuriousCoordinator, shadows: int = SHADOWS, rounds: int = ROUNDS) -> list[Fact]:
    """(patient, log likelihood ratio of in to out) for every patient of the cohort. Raises Refused.

    Half of the patients take part in honest rounds. The attacker, who has all records, trains nets of the same shape
    on random halves, and asks under which of them the type of a patient is known as well as by the released net.
    """
    samples = attacker.list_samples(COHORT)
    names = _list_patients(samples)
    candidates = Candidates(
        build_inputs(NET, samples, attacker.recipe),
        torch.tensor([LESION_TYPES.index(str(sample.label)) for sample in samples]),
        np.array([names.index(sample.patient) for sample in samples]),
        attacker.recipe,
    )
    inside = draw_members(attacker.seed, len(names))
    absent = {name for name, took_part in zip(names, inside, strict=True) if not took_part}
    sites = [replace(site, samples=[s for s in site.samples if s.patient not in absent]) for site in attacker.sites]
    observed = candidates.score(_train_federated(replace(attacker, sites=sites), rounds))
    halves = np.random.default_rng([attacker.seed, 3]).random((shadows, len(names))) < 0.5
    start = build_initial_state(NET, attacker.recipe, attacker.seed)
    shadow = np.stack([candidates.score(candidates.train(half, start)) for half in halves])
    return [(float(p), _compare(observed[p], shadow[:, p], halves[:, p])) for p in range(len(names))]


def list_members(attacker: CuriousCoordinator) -> list[Fact]:
    """The truth: (patient, whether he took part)."""
    names = _list_patients(attacker.list_samples(COHORT))
    return [(float(place), float(took)) for place, took in enumerate(draw_members(attacker.seed, len(names)))]


def judge_members(claimed: Sequence[Fact], true: Sequence[Fact]) -> Score:
    """Members found where at most 1 % of the others are taken for one, and the area under the ROC curve.

    None where that area could be chance, by its standard deviation under no difference (Mann & Whitney 1947).
    """
    took = np.array([value for _, value in true]) > 0
    if not claimed:
        return Score(0, int(took.sum()))
    ratios = np.array([value for _, value in claimed])
    others = np.sort(ratios[~took])[::-1]
    bar = others[int(_FALSE_ALARMS * len(others))] if len(others) else -np.inf
    pairs = (ratios[took][:, None] > others) + 0.5 * (ratios[took][:, None] == others)
    area, members = float(pairs.mean()), int(took.sum())
    spread = ((len(took) + 1) / (12 * members * max(1, len(others)))) ** 0.5
    found = int((ratios[took] > bar).sum()) if area > 0.5 + _SURE * spread else 0
    return Score(found, members, f"AUC {area:.2f}")


def draw_members(seed: int, patients: int) -> npt.NDArray[np.bool_]:
    """Which patients take part."""
    return np.random.default_rng([seed, 4]).random(patients) < 0.5


def _list_patients(samples: Sequence[Sample]) -> list[str]:
    return sorted({sample.patient for sample in samples})


def _train_federated(attacker: CuriousCoordinator, rounds: int) -> State:
    """The net after honest rounds of the plan, with plain averages."""
    state: State = build_initial_state(NET, attacker.recipe, attacker.seed)
    models = build_constant_submodels(attacker.recipe)
    for number in range(1, rounds + 1):
        task = attacker.build_planned_task("train", add_prefix(state, f"{NET}|"), models)
        total = attacker.ask(replace(task, round=number))
        state = _step(state, select_net(total, NET), total.get(f"{NET}|#weight"), task)
    return state


def _step(state: State, change: State, weight: Tensor | None, task: Task) -> State:
    """The mean change over lesions; under a private rule a step against the mean gradient over patients."""
    if weight is not None:
        return {name: tensor + change[name] / float(weight) for name, tensor in state.items()}
    rate = task.rule.learning_rate if task.rule else 0.0
    return {name: tensor - rate * change[name] / _PATIENTS for name, tensor in state.items()}


def _compare(value: float, scores: Floats, inside: npt.NDArray[np.bool_]) -> float:
    """Log likelihood ratio of two normal distributions, in to out."""
    if inside.all() or not inside.any():
        return 0.0
    logs = []
    for part in (scores[inside], scores[~inside]):
        spread = max(float(part.std()), _LEAST_SPREAD)
        logs.append(-((value - float(part.mean())) ** 2) / (2 * spread**2) - np.log(spread))
    return float(logs[0] - logs[1])
