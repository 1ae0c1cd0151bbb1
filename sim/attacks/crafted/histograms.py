"""Evaluation tasks whose scores are codes: what the histograms of a cohort say of each of its lesions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from ceus_models.metrics.score_bins import FINE_BINS, LOGIT_BOUND, SUM_UNIT, compute_bins
from ceus_models.protocol.messages import Recipe
from ceus_models.study.sample import Sample
from ceus_models.study.taxonomy import CLINICAL_NAMES, LESION_TYPES
from sim.attacks.coordinator import CuriousCoordinator, Refused
from sim.attacks.crafted.fusion_net import (
    TYPES,
    CraftedFusion,
    Question,
    add_submodels,
    ask_variable,
    build_constant_submodels,
    join_states,
    standardise,
)
from sim.attacks.facts import Fact

COHORT = "training_a"
NETS = ("fusion/DC", "fusion/DCB")
_BITS = ("sex", "viral_hepatitis", "malignancy_history", "cirrhosis")
_YOUNGEST, _YEARS = 29, 67
_CODES = _YEARS * 2 ** len(_BITS)
_PART = _CODES // len(NETS)
_STEP = 1.2 * 2 * LOGIT_BOUND / FINE_BINS
_LOWEST = LOGIT_BOUND - _STEP * (_PART + 3)
"""Logits of a part of the codes end just below the histogram's bound; at this end a bin is wide enough in each type."""


def widen_recipe(recipe: Recipe, units: int = 32) -> Recipe:
    """The recipe with every clinical variable once."""
    return replace(recipe, selected=CLINICAL_NAMES, fusion_hidden=units)


def recover_codes(attacker: CuriousCoordinator) -> list[Fact]:
    """One evaluate task: age, sex, hepatitis, history, cirrhosis and type of every lesion. Raises Refused.

    The code of these facts is the score of the first type; half of the codes are in the range of each net. The
    histogram of a type's own lesions then has one bin for each code.
    """
    recipe = widen_recipe(attacker.recipe)
    nets = [_build_encoder(net, recipe, part * _PART) for part, net in enumerate(NETS)]
    task = attacker.build_task("evaluate", NETS, cohorts=(COHORT,), inputs=join_states(*nets))
    answer = attacker.ask(add_submodels(task, recipe))
    return [fact for part, net in enumerate(NETS) for fact in _decode(answer[f"{COHORT}|{net}|fine"], part)]


def describe_code(sample: Sample) -> Fact:
    """The facts of a code: age, four answers and the type."""
    named = [float(sample.clinical[CLINICAL_NAMES.index(name)]) for name in ("age", *_BITS)]
    return (*named, float(LESION_TYPES.index(str(sample.label))))


def list_codes(attacker: CuriousCoordinator) -> list[Fact]:
    """The truth."""
    return [describe_code(sample) for sample in attacker.list_samples(COHORT, "evaluate")]


def _build_encoder(net: str, recipe: Recipe, first: int) -> CraftedFusion:
    code = Question(np.zeros(17), np.zeros(17), -float(_YOUNGEST * 2 ** len(_BITS)))
    for factor, name in ((2 ** len(_BITS), "age"), *((2**i, name) for i, name in enumerate(_BITS))):
        asked = ask_variable(name, recipe).scale(factor)
        code = Question(code.values + asked.values, code.flags + asked.flags, code.constant + asked.constant)
    crafted = CraftedFusion(net, recipe)
    # from `first - 1` on: a code below the part and one beyond it have scores of their own
    crafted.write(0, code.add(1.0 - first).scale(_STEP))
    crafted.write(1, code.add(-float(first + _PART)).scale(_STEP))
    crafted.out[0, :2] = torch.tensor([1.0, -1.0], dtype=torch.float64)
    crafted.out_bias[0] = _LOWEST
    return crafted


def _decode(fine: torch.Tensor, part: int) -> Iterator[Fact]:
    """fine (k 2 bins) of one net."""
    codes = np.arange(_PART)
    logits = np.zeros((_PART, TYPES))
    logits[:, 0] = _LOWEST + _STEP * (codes + 1)
    scores = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    for kind in range(TYPES):
        counts = fine[kind, 1, compute_bins(scores[:, kind], FINE_BINS)]
        for code, count in zip(codes + part * _PART, counts.tolist(), strict=True):
            bits = [float(code >> i & 1) for i in range(len(_BITS))]
            yield from [(float((code >> len(_BITS)) + _YOUNGEST), *bits, float(kind))] * count


@dataclass(frozen=True, eq=False)
class Victim:
    """A patient of whom the attacker knows some facts.

    Args:
        sample: the truth.
        known: the variables that the attacker knows.
    """

    sample: Sample
    known: tuple[str, ...]

    def mismatches(self, recipe: Recipe) -> Iterator[Question]:
        """Functions that are all ≤ 0 for a lesion with the known facts alone, and otherwise at least one is above."""
        values, _ = standardise(self.sample.clinical, recipe)
        for name in self.known:
            place = CLINICAL_NAMES.index(name)
            one = np.eye(len(CLINICAL_NAMES))[place]
            for sign in (1.0, -1.0):
                yield Question(sign * one, np.zeros_like(one), -sign * float(values[place]))


def choose_victims(samples: Sequence[Sample], known: tuple[str, ...], count: int) -> list[Victim]:
    """The first patients whose known facts no other lesion shares."""
    places = [CLINICAL_NAMES.index(name) for name in known]
    facts = [tuple(sample.clinical[places].tolist()) for sample in samples]
    alone = [s for s, own in zip(samples, facts, strict=True) if facts.count(own) == 1 and not np.isnan(own).any()]
    return [Victim(sample, known) for sample in alone[:count]]


KNOWN = ("age", "sex", "tumor_size")
"""What an attacker may know of a patient from elsewhere."""
_LABS = CLINICAL_NAMES[7:]
_SHARP = 100.0
_SPREAD = 0.05
"""Logits a standard deviation: all six probabilities stay above 0.1, the calibration's first bin."""


def write_trap(crafted: CraftedFusion, victim: Victim) -> int:
    """Hidden units that are all 0 for the victim alone; how many."""
    questions = list(victim.mismatches(crafted.recipe))
    for unit, question in enumerate(questions):
        crafted.write(unit, question.scale(_SHARP))
    return len(questions)


def recover_labs(attacker: CuriousCoordinator) -> list[Fact]:
    """Laboratory values of patients of whom age, sex and tumour size are known, from Σp. Raises Refused.

    One task a patient, as the plan asks for it but for the weights: a value in the probability of each of five types
    of two nets. Every other lesion is given to the sixth type, so the patient is alone in a bin of the calibration.
    """
    models = build_constant_submodels(attacker.recipe)
    found: list[Fact] = []
    for number, victim in enumerate(_choose_tested(attacker)):
        halves = _split_labs(attacker.recipe)
        nets = [_build_lab_trap(net, attacker.recipe, victim, half) for net, half in zip(NETS, halves, strict=True)]
        task = attacker.build_planned_task("evaluate", join_states(*nets), models)
        if number:  # the plan asks once
            task = replace(task, stage=f"{task.stage}-{number}")
        try:
            answer = attacker.ask(task)
        except Refused:
            if not number:
                raise
            break
        for net, half in zip(NETS, halves, strict=True):
            values = _read_labs(answer.get(f"{_TESTED}|{net}|calibration"), half, attacker.recipe)
            found += [(float(number), float(CLINICAL_NAMES.index(lab)), value) for lab, value in values]
    return found


_TESTED = "external_test_c"
_VICTIMS = 8


def _choose_tested(attacker: CuriousCoordinator) -> list[Victim]:
    return choose_victims(attacker.list_samples(_TESTED, "evaluate"), KNOWN, _VICTIMS)


def _split_labs(recipe: Recipe) -> tuple[tuple[str, ...], tuple[str, ...]]:
    labs = tuple(name for name in _LABS if name in recipe.selected)[: 2 * (TYPES - 1)]
    return labs[: TYPES - 1], labs[TYPES - 1 :]


def list_labs(attacker: CuriousCoordinator) -> list[Fact]:
    """The truth: (victim, variable, value) of what is recorded of each victim."""
    found: list[Fact] = []
    for number, victim in enumerate(_choose_tested(attacker)):
        for lab in sum(_split_labs(attacker.recipe), ()):
            value = float(victim.sample.clinical[CLINICAL_NAMES.index(lab)])
            found += [] if np.isnan(value) else [(float(number), float(CLINICAL_NAMES.index(lab)), value)]
    return found


def _build_lab_trap(net: str, recipe: Recipe, victim: Victim, labs: Sequence[str]) -> CraftedFusion:
    crafted = CraftedFusion(net, recipe)
    units = write_trap(crafted, victim)
    crafted.out[TYPES - 1, :units] = 1.0
    for kind, lab in enumerate(labs):
        one = np.eye(len(CLINICAL_NAMES))[CLINICAL_NAMES.index(lab)]
        crafted.write(units + kind, Question(one, np.zeros_like(one), 20.0))
        crafted.out[kind, units + kind] = _SPREAD
        crafted.out_bias[kind] = -20.0 * _SPREAD
    return crafted


def _read_labs(calibration: torch.Tensor | None, labs: Sequence[str], recipe: Recipe) -> Iterator[tuple[str, float]]:
    """Values of the one lesion whose probabilities are beyond the first bin; calibration (k+1 10 3)."""
    if calibration is None:
        return
    beyond = calibration[: TYPES - 1, 1:].double().sum(dim=1).numpy()  # (k-1 [lesions, Σp, Σ right])
    if not (beyond[:, 0] == 1).all():
        return
    p = beyond[:, 1] * SUM_UNIT
    for lab, logit in zip(labs, np.log(p[: len(labs)] / (1 - p.sum())), strict=True):
        place = CLINICAL_NAMES.index(lab)
        mean, sd = recipe.normaliser.clinical_mean[place], recipe.normaliser.clinical_sd[place]
        yield lab, float(logit) / _SPREAD * sd + mean
