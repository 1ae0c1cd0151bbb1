"""Training tasks whose answer is a list of records: one hidden unit of a fusion net for every few patients.

As in Fowl et al., "Robbing the Fed" (ICLR 2022): units that differ in their threshold alone, so that the difference of
two neighbours' gradients is the gradient of the patients between the two thresholds.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from itertools import product
from statistics import NormalDist

import numpy as np
import torch

from ceus_models.nets.module_cache import build_initial_state
from ceus_models.protocol.messages import LocalRule, Recipe
from ceus_models.protocol.state import State, add_prefix
from ceus_models.study.taxonomy import CLINICAL, CLINICAL_NAMES, COHORTS
from sim.attacks.coordinator import CuriousCoordinator, Refused
from sim.attacks.crafted.fusion_net import TYPES, CraftedFusion, Floats, Question, add_submodels, restore
from sim.attacks.facts import Fact, describe_record, is_plausible

NET = "fusion/DCB"
COHORT = "training_a"
UNITS = 16_384
_SMALL = 1e-7
"""Scale of the weights that set the thresholds: logits stay near 0, so that every patient's gradient is known."""
_ONE_STEP = LocalRule(epochs=1, batch_size=256, learning_rate=1.0, momentum=0.0)


def build_memory(recipe: Recipe, units: int, class_weight: float) -> CraftedFusion:
    """A fusion net of `units` thresholds over one random projection of the clinical values.

    Every variable stands twice in the recipe: the first copy sets the thresholds, the second has zero weights, whose
    change is exact however small the step is.
    """
    wide = replace(
        recipe,
        selected=(*CLINICAL_NAMES, *CLINICAL_NAMES),
        fusion_hidden=units,
        class_weights={NET: (class_weight,) * TYPES},
    )
    net = CraftedFusion(NET, wide)
    draws = np.random.default_rng(5)
    variables = len(CLINICAL_NAMES)
    projection = Question(draws.normal(0, variables**-0.5, variables), draws.normal(0, variables**-0.5, variables))
    normal = NormalDist(0.0, 1.3)
    for unit in range(units):
        threshold = normal.inv_cdf((unit + 0.5) / units) if unit else -50.0
        net.write(unit, projection.add(-threshold).scale(_SMALL))
    net.out[:] = torch.arange(1.0, TYPES + 1).unsqueeze(1)
    return net


def read_records(net: CraftedFusion, sums: State, class_weight: float) -> list[Fact]:
    """The records between every two neighbouring thresholds."""
    values, flags, bias = (_between(part) for part in net.read(sums, copy=1))
    moved = np.abs(bias) > 0.2 * class_weight
    if not moved.any():
        return []
    each = bias[moved]
    found = restore(values[moved] / each[:, None], flags[moved] / each[:, None], net.recipe)
    # a step along -(p - y)·out: with p = 1/6 for every type, 3.5 less than the number of the type
    kinds = np.rint(each / class_weight + (TYPES + 1) / 2 - 1)
    return [(float(kind), *map(float, record)) for kind, record in zip(kinds, found, strict=True)]


def _between(thresholds: Floats) -> Floats:
    return np.asarray(thresholds - np.concatenate([thresholds[1:], np.zeros_like(thresholds[:1])]))


def recover_memory(attacker: CuriousCoordinator, units: int = UNITS, class_weight: float = 1e-10) -> list[Fact]:
    """One train task: the clinical values and the type of every lesion. Raises Refused."""
    net = build_memory(attacker.recipe, units, class_weight)
    task = attacker.build_task("train", (NET,), cohorts=(COHORT,), inputs=net.state(), rule=_ONE_STEP)
    return read_records(net, attacker.ask(add_submodels(task, net.recipe)), class_weight)


def list_records(attacker: CuriousCoordinator) -> list[Fact]:
    """The truth."""
    return [describe_record(sample) for sample in attacker.list_samples(COHORT)]


def recover_substituted(attacker: CuriousCoordinator, units: int = UNITS) -> list[Fact]:
    """The same under another plan with the same names of stages, which asks for such a width. Raises Refused."""
    other = replace(attacker.plan, fusion_hidden=units)
    wide = replace(attacker, plan=other)
    plan = json.dumps(other.plain(), sort_keys=True)
    wide.ask(replace(wide.build_task("hello", cohorts=COHORTS, recipe=None), plan=plan))
    return recover_memory(wide, units, 1.0)


def recover_lone_types(attacker: CuriousCoordinator) -> list[Fact]:
    """Honest weights and a recipe in which one type alone has a class weight: its lone lesion's record.

    Raises Refused where nothing is answered.
    """
    found: list[Fact] = []
    for number, (cohort, kind) in enumerate(product(_LONE_COHORTS, range(TYPES))):
        try:
            record = _ask_lone(attacker, cohort, kind, number)
        except Refused:
            if number == 0:
                raise
            continue
        found += [record] if record and is_plausible(record, _BINARIES) else []
    return found


_LONE_COHORTS = ("training_a", "validation", "external_test_c")
_BINARIES = [1 + place for place, variable in enumerate(CLINICAL) if variable.kind == "binary"]


def list_lone_types(attacker: CuriousCoordinator) -> list[Fact]:
    """The truth: records of lesions that are the only ones of their type in a cohort."""
    found = []
    for cohort in _LONE_COHORTS:
        samples = attacker.list_samples(cohort)
        held = Counter(sample.label for sample in samples)
        found += [describe_record(sample) for sample in samples if held[sample.label] == 1]
    return found


def _ask_lone(attacker: CuriousCoordinator, cohort: str, kind: int, number: int) -> Fact | None:
    weights = {NET: tuple(float(k == kind) for k in range(TYPES))}
    recipe = replace(attacker.recipe, selected=CLINICAL_NAMES, class_weights=weights)
    net = CraftedFusion(NET, recipe)
    inputs = add_prefix(build_initial_state(NET, recipe, attacker.seed), f"{NET}|")
    task = attacker.build_task("train", (NET,), cohorts=(cohort,), inputs=inputs, rule=_ONE_STEP)
    task = replace(task, round=task.round + number)
    values, flags, bias = net.read(attacker.ask(add_submodels(task, recipe)))
    unit = int(np.abs(bias).argmax())
    if not bias[unit]:
        return None
    return (float(kind), *map(float, restore(values[unit] / bias[unit], flags[unit] / bias[unit], recipe)))
