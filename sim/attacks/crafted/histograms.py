"""Evaluation tasks whose scores are codes: what the histograms of a cohort say of each of its lesions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch

from ceus_models.metrics.score_bins import compute_bins
from ceus_models.protocol.messages import Recipe
from ceus_models.study.sample import Sample
from ceus_models.study.taxonomy import CLINICAL, CLINICAL_NAMES, LESION_TYPES
from sim.attacks.coordinator import CuriousCoordinator, Refused
from sim.attacks.crafted.fusion_net import (
    TYPES,
    CraftedFusion,
    Floats,
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
FINE_BINS, LOGIT_BOUND = 2048, 8.0
"""Of a histogram of even bins of the logit, which evaluations released once; a coarser one has no room for codes."""
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
    tables = [(part, answer.get(f"{COHORT}|{net}|fine")) for part, net in enumerate(NETS)]
    return [fact for part, fine in tables if fine is not None for fact in _decode(fine, part)]


def describe_code(sample: Sample) -> Fact:
    """The facts of a code: age, four answers and the type."""
    named = [float(sample.clinical[CLINICAL_NAMES.index(name)]) for name in ("age", *_BITS)]
    return (*named, float(LESION_TYPES.index(str(sample.label))))


def list_codes(attacker: CuriousCoordinator) -> list[Fact]:
    """The truth."""
    return [describe_code(sample) for sample in attacker.list_samples(COHORT, "evaluate")]


def _build_encoder(net: str, recipe: Recipe, first: int) -> CraftedFusion:
    code = Question(np.zeros(len(CLINICAL_NAMES)), np.zeros(len(CLINICAL_NAMES)), -float(_YOUNGEST * 2 ** len(_BITS)))
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
        counts = fine[kind, 1, _place(scores[:, kind])]
        for code, count in zip(codes + part * _PART, counts.tolist(), strict=True):
            bits = [float(code >> i & 1) for i in range(len(_BITS))]
            yield from [(float((code >> len(_BITS)) + _YOUNGEST), *bits, float(kind))] * count


def _place(p: Floats) -> npt.NDArray[np.int64]:
    """Bins of probabilities."""
    logit = np.clip(np.log(p) - np.log1p(-p), -LOGIT_BOUND, LOGIT_BOUND)
    places = (logit + LOGIT_BOUND) / (2 * LOGIT_BOUND) * FINE_BINS
    return np.asarray(np.minimum(places, FINE_BINS - 1), dtype=np.int64)


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
TESTED = "external_test_c"
_LABS = tuple(variable.name for variable in CLINICAL[7:17])
_SHARP = 100.0
_VICTIMS = 8
_LIFT = 20.0
_MIDDLE, _SPREAD = -5.2, 1.35
"""Logit of a mean value, and of a standard deviation: within two of them a score is above the first bin, and below
0.1, where bins are narrow."""


def write_trap(crafted: CraftedFusion, victim: Victim) -> int:
    """Hidden units that are all 0 for the victim alone; how many."""
    questions = list(victim.mismatches(crafted.recipe))
    for unit, question in enumerate(questions):
        crafted.write(unit, question.scale(_SHARP))
    return len(questions)


def ask_planned(attacker: CuriousCoordinator, nets: Sequence[CraftedFusion], number: int) -> dict[str, torch.Tensor]:
    """The plan's evaluation with crafted nets; any after the first has a name that the plan does not know.

    Raises Refused.
    """
    models = build_constant_submodels(attacker.recipe)
    task = attacker.build_planned_task("evaluate", join_states(*nets), models)
    return attacker.ask(replace(task, stage=f"{task.stage}-{number}") if number else task)


def recover_labs(attacker: CuriousCoordinator) -> list[Fact]:
    """Laboratory values, by the bin of a score, of patients of whom age, sex and tumour size are known. Raises Refused.

    One task a patient, as the plan asks for it but for the weights: a value in the score of each of five types of two
    nets. Every other lesion is given to the sixth type, so that the patient is alone beyond the first bin.
    """
    found: list[Fact] = []
    for number, victim in enumerate(choose_tested(attacker)):
        parts = list(zip(NETS, _split_labs(attacker.recipe), strict=True))
        nets = [_build_lab_trap(net, attacker.recipe, victim, labs) for net, labs in parts]
        try:
            answer = ask_planned(attacker, nets, number)
        except Refused:
            if not number:
                raise
            return found
        for net, labs in parts:
            bins = _read_bins(answer.get(f"{TESTED}|{net}|scores"), labs)
            found += [(float(number), float(CLINICAL_NAMES.index(lab)), float(place)) for lab, place in bins]
    return found


def list_labs(attacker: CuriousCoordinator) -> list[Fact]:
    """The truth: (victim, variable, bin) of what is recorded of each victim and not beyond the range of the bins."""
    found: list[Fact] = []
    for number, victim in enumerate(choose_tested(attacker)):
        values, missing = standardise(victim.sample.clinical, attacker.recipe)
        for labs in _split_labs(attacker.recipe):
            places = [CLINICAL_NAMES.index(lab) for lab in labs]
            shares = np.exp([*(_MIDDLE + _SPREAD * values[places]), 0.0])
            bins = compute_bins(shares / shares.sum())
            known = [(place, b) for place, b in zip(places, bins, strict=False) if not missing[place] and b > 0]
            found += [(float(number), float(place), float(b)) for place, b in known]
    return found


def choose_tested(attacker: CuriousCoordinator) -> list[Victim]:
    """Patients of the two commonest types, which no minimum cell leaves out."""
    common = [s for s in attacker.list_samples(TESTED, "evaluate") if s.label in LESION_TYPES[:2]]
    return choose_victims(common, KNOWN, _VICTIMS)


def _split_labs(recipe: Recipe) -> tuple[tuple[str, ...], tuple[str, ...]]:
    labs = tuple(name for name in _LABS if name in recipe.selected)[: 2 * (TYPES - 1)]
    return labs[: TYPES - 1], labs[TYPES - 1 :]


def _build_lab_trap(net: str, recipe: Recipe, victim: Victim, labs: Sequence[str]) -> CraftedFusion:
    crafted = CraftedFusion(net, recipe)
    units = write_trap(crafted, victim)
    crafted.out[TYPES - 1, :units] = 1.0
    crafted.out_bias[: TYPES - 1] = -100.0
    for kind, lab in enumerate(labs):
        one = np.eye(len(CLINICAL_NAMES))[CLINICAL_NAMES.index(lab)]
        crafted.write(units + kind, Question(one, np.zeros_like(one), _LIFT))
        crafted.out[kind, units + kind] = _SPREAD
        crafted.out_bias[kind] = _MIDDLE - _LIFT * _SPREAD
    return crafted


def _read_bins(scores: torch.Tensor | None, labs: Sequence[str]) -> Iterator[tuple[str, int]]:
    """The bin of the one lesion beyond the first bin, for each variable; scores (k 2 bins)."""
    if scores is None:
        return
    for lab, counts in zip(labs, scores.sum(dim=1).numpy(), strict=False):
        if counts[1:].sum() == 1 and counts[1:].max() == 1:
            yield lab, int(counts[1:].argmax()) + 1
