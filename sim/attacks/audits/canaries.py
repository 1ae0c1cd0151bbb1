"""One-run audit: canaries that take part by a coin, and the ε that guessing their coins proves at least.

Steinke, Nasr and Jagielski, "Privacy auditing with one (1) training run" (NeurIPS 2023), white box.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch
from scipy.stats import binom
from torch.nn import functional as nnf

from ceus_models.nets.factory import CPU
from ceus_models.nets.module_cache import build_initial_state, load_net
from ceus_models.plan.terms.net_groups import expand_names
from ceus_models.plan.train_stage import Train
from ceus_models.protocol.messages import LocalRule, Recipe, Task
from ceus_models.protocol.privacy.accountant import compose, compute_epsilon
from ceus_models.protocol.state import State, add_prefix, select_net
from ceus_models.study.sample import Sample
from ceus_models.study.taxonomy import CLINICAL_NAMES, LESION_TYPES
from sim.attacks.coordinator import CuriousCoordinator, Refused
from sim.attacks.crafted.fusion_net import Floats, build_constant_submodels, build_inputs
from sim.attacks.crafted.traps import COHORT
from sim.attacks.facts import Fact, Score

NET = "fusion/DCB"
_MOST = 700
ROUNDS = 10
DELTA = 1e-5
_SHARES = (50, 20, 10, 5, 2)
_LEVEL = 0.05
_LARGEST = 20.0
_SPREAD = 2.0
_RIDGE, _NOISY_RIDGE = 0.03, 30.0
_ONE_STEP = LocalRule(epochs=1, batch_size=256, learning_rate=1e-3, momentum=0.0)


def recover_canaries(attacker: CuriousCoordinator, rounds: int = ROUNDS) -> list[Fact]:
    """(canary, guess), the surest guess first, from the totals of some rounds as the plan asks for them.

    A canary's score is its share in the totals, by ridge regression on the canaries' own gradients. Where the plan's
    rule is not private, one small step in place of it is tried first, in which shares are exact. The study begins with
    the canaries there: a site answers from the lesions that it had when the study began. Raises Refused.
    """
    weights = build_initial_state(NET, attacker.recipe, attacker.seed)
    planted = build_canaries(attacker, count_canaries(attacker))
    coins = draw_coins(attacker.seed, len(planted))
    there = [sample for sample, took_part in zip(planted, coins, strict=True) if took_part]
    with_canaries = replace(attacker.sites[0], samples=[*attacker.sites[0].samples, *there])
    audited = replace(attacker, sites=(with_canaries, *attacker.sites[1:]))
    audited.greet()
    directions = -compute_gradients(weights, planted, attacker.recipe)
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    models = build_constant_submodels(attacker.recipe)
    planned = audited.build_planned_task("train", add_prefix(weights, f"{NET}|"), models)
    private = planned.rule is not None and planned.rule.private is not None
    directions *= -1.0 if private else 1.0  # a private sum goes along the gradients
    ridge = _NOISY_RIDGE if private else _RIDGE
    unmix = np.linalg.solve(directions @ directions.T + ridge * np.eye(len(planted)), directions)
    scores = np.zeros(len(planted))
    for number in range(1, min(rounds, find_rounds(attacker)) + 1):
        total = _ask_round(audited, replace(planned, round=number))
        scores += unmix @ np.concatenate([total[name].double().reshape(-1).numpy() for name in sorted(weights)])
    scores -= np.median(scores)
    return [(float(place), float(scores[place] > 0)) for place in np.argsort(-np.abs(scores), kind="stable")]


def _ask_round(audited: CuriousCoordinator, planned: Task) -> State:
    if planned.rule is None or planned.rule.private is None:
        with contextlib.suppress(Refused):
            return select_net(audited.ask(replace(planned, rule=_ONE_STEP)), NET)
    return select_net(audited.ask(planned), NET)


def find_rounds(attacker: CuriousCoordinator) -> int:
    """Rounds of the plan's training of the audited net, as many as are audited."""
    stages = (stage for stage in attacker.plan.stages if isinstance(stage, Train) and NET in expand_names(stage.nets))
    return min(ROUNDS, next((stage.rounds for stage in stages), 1))


def state_claim(attacker: CuriousCoordinator) -> float | None:
    """ε at δ that the plan promises for the audited rounds of this net, None for training without noise."""
    for stage in attacker.plan.stages:
        if isinstance(stage, Train) and NET in expand_names(stage.nets) and stage.rule.private:
            rounds = find_rounds(attacker)
            return compute_epsilon(compose([stage.rule.private.noise] * rounds), attacker.plan.delta)
    return None


def count_canaries(attacker: CuriousCoordinator) -> int:
    """Half as many as the net has parameters, so that their gradients stay apart."""
    return min(_MOST, sum(t.numel() for t in build_initial_state(NET, attacker.recipe, 0).values()) // 2)


def list_coins(attacker: CuriousCoordinator) -> list[Fact]:
    """The truth: (canary, whether it took part)."""
    coins = draw_coins(attacker.seed, count_canaries(attacker))
    return [(float(place), float(coin)) for place, coin in enumerate(coins)]


def judge_canaries(claimed: Sequence[Fact], true: Sequence[Fact]) -> Score:
    """The largest ε that the guesses exclude to stay below, at 95 %; how many of the surest were right."""
    coins = {fact[0]: fact[1] for fact in true}
    best = (0.0, 0, max(1, len(true) // _SHARES[-1]))
    for share in _SHARES:
        guesses = claimed[: max(1, len(true) // share)]
        right = sum(coins[fact[0]] == fact[1] for fact in guesses)
        bound = compute_bound(len(guesses), right, len(true)) if guesses else 0.0
        best = max(best, (bound, right, len(guesses)))
    bound, right, guesses_made = best
    return Score(right if bound > 0 else 0, guesses_made, f"ε ≥ {bound:.1f}", bound)


def compute_bound(guesses: int, right: int, canaries: int, delta: float = DELTA) -> float:
    """The largest ε, to 0.01, at which so many right guesses have a probability of 5 % over five numbers of guesses.

    Their appendix D: P[Bin(r, e^ε/(1+e^ε)) ≥ v] + 2mδ·max over i of (P[… ≥ v - i] - P[… ≥ v])/i.
    """
    wrong = np.arange(1, right + 1)

    def is_excluded(epsilon: float) -> bool:
        p = 1 / (1 + np.exp(-epsilon))
        tail = float(binom.sf(right - 1, guesses, p))
        more = (binom.sf(right - 1 - wrong, guesses, p) - tail) / wrong if right else np.zeros(1)
        return tail + 2 * canaries * delta * float(more.max()) <= _LEVEL / len(_SHARES)

    grid = np.arange(0.0, _LARGEST, 0.01)
    excluded = [float(epsilon) for epsilon in grid if is_excluded(float(epsilon))]
    return max(excluded, default=0.0)


def draw_coins(seed: int, canaries: int) -> npt.NDArray[np.bool_]:
    """Which canaries take part."""
    return np.random.default_rng([seed, 1]).random(canaries) < 0.5


def build_canaries(attacker: CuriousCoordinator, count: int) -> list[Sample]:
    """Patients of their own with random values and types, whose gradients are nearly orthogonal."""
    model = next(sample for sample in attacker.sites[0].samples if sample.cohort == COHORT)
    draws = np.random.default_rng([attacker.seed, 2])
    normaliser = attacker.recipe.normaliser
    made = []
    for number in range(count):
        signs = draws.choice([-_SPREAD, _SPREAD], len(CLINICAL_NAMES))
        clinical = np.array(normaliser.clinical_mean) + signs * np.array(normaliser.clinical_sd)
        own = {
            "key": f"canary-{number:05d}",
            "patient": f"canary-{number:05d}",
            "clinical": clinical.astype(np.float32),
        }
        made.append(replace(model, label=str(draws.choice(LESION_TYPES)), readings=(), **own))
    return made


def compute_gradients(weights: State, samples: Sequence[Sample], recipe: Recipe) -> Floats:
    """(n d) the gradient of each lesion's loss, over all parameters in the order of their names."""
    kept = load_net(NET, recipe, weights, None, CPU)
    features = build_inputs(NET, samples, recipe)
    parameters = [kept.tensors[name].requires_grad_() for name in sorted(weights)]
    rows = []
    for row, sample in enumerate(samples):
        target = torch.tensor([LESION_TYPES.index(str(sample.label))])
        loss = nnf.cross_entropy(kept.module(features[row : row + 1]), target)
        rows.append(torch.cat([part.reshape(-1) for part in torch.autograd.grad(loss, parameters)]).double().numpy())
    return np.stack(rows)
