"""Training tasks within the plan's own shapes: hidden units that one patient alone moves.

The plan fixes width, variables, class weights and rule; of a later round a site cannot tell crafted weights from
trained ones. A unit that is active for one patient changes along his record, whatever the optimiser's settings are.
"""

from __future__ import annotations

from dataclasses import replace
from statistics import NormalDist

import numpy as np
import torch

from ceus_models.protocol.messages import Recipe, Task
from ceus_models.protocol.state import State, subtract
from ceus_models.study.taxonomy import CLINICAL, CLINICAL_NAMES
from sim.attacks.coordinator import CuriousCoordinator, Refused
from sim.attacks.crafted.fusion_net import (
    TYPES,
    CraftedFusion,
    Question,
    build_constant_submodels,
    join_states,
    restore,
)
from sim.attacks.facts import Fact, describe_record, is_plausible
from sim.attacks.secure_asking import SitesLink, open_twice, unpack

COHORT = "training_b"
NETS = ("fusion/DC", "fusion/DCB")
_OUT = 0.02
_MIXED = 3
"""Clinical variables that one unit looks at."""
REPEATS = 8


def build_traps(recipe: Recipe, lesions: int, seed: int) -> list[CraftedFusion]:
    """Nets whose units are each active for about one of so many lesions; the first unit is active for none."""
    draws = np.random.default_rng(seed)
    nets = []
    places = [CLINICAL_NAMES.index(name) for name in recipe.selected]
    far = NormalDist().inv_cdf(1 - 1 / max(2, lesions))
    for name in NETS:
        net = CraftedFusion(name, recipe)
        none = np.zeros(len(CLINICAL_NAMES))
        net.write(0, Question(none, none, -1.0))
        for unit in range(1, net.units):
            weights = none.copy()
            chosen = draws.choice(places, min(_MIXED, len(places)), replace=False)
            weights[chosen] = draws.normal(size=len(chosen))
            weights /= np.linalg.norm(weights)
            net.write(unit, Question(weights, none, -far))
        net.out[:] = _OUT * torch.arange(1.0, TYPES + 1).unsqueeze(1)
        nets.append(net)
    return nets


def read_traps(net: CraftedFusion, sums: State) -> list[Fact]:
    """(type, selected values) of units that one lesion moved; mixtures mostly show in what is yes or no."""
    start = {name.split("|", 1)[1]: tensor.double().numpy() for name, tensor in net.state().items()}
    weight = sums[f"{net.net}|hidden.weight"].double().numpy()
    decay = weight[0, 0] / start["hidden.weight"][0, 0]  # the first unit changes by weight decay alone
    moved = weight - decay * start["hidden.weight"]
    bias = sums[f"{net.net}|hidden.bias"].double().numpy()
    out = sums[f"{net.net}|out.weight"].double().numpy() - decay * start["out.weight"]
    values, flags = net.copies(0)
    places = [CLINICAL_NAMES.index(name) for name in net.recipe.selected]
    binaries = [1 + i for i, place in enumerate(places) if CLINICAL[place].kind == "binary"]
    along = 1.0 if f"{net.net}|#weight" in sums else -1.0  # a change goes against the gradient, a private sum along it
    found = []
    for unit in np.flatnonzero(np.abs(bias) > 1e-4 * np.abs(bias).max()):
        whole, missing = np.zeros(len(CLINICAL_NAMES)), np.zeros(len(CLINICAL_NAMES))
        whole[places], missing[places] = moved[unit, values] / bias[unit], moved[unit, flags] / bias[unit]
        record = restore(whole, missing, net.recipe)[places]
        fact = (float((along * out[:, unit]).argmax()), *map(float, record))
        if is_plausible(fact, binaries):
            found.append(fact)
    return found


def recover_planned_training(attacker: CuriousCoordinator) -> list[Fact]:
    """One task as the plan asks for it, with crafted weights. Raises Refused."""
    return _merge(_ask(attacker, _build_task(attacker, 1)))


def recover_repeated_round(attacker: CuriousCoordinator) -> list[Fact]:
    """The same round of the plan asked eight times, each time with other weights. Raises Refused."""
    found: list[Fact] = []
    for seed in range(REPEATS):
        try:
            found += _ask(attacker, _build_task(attacker, seed + 1))
        except Refused:
            if not seed:
                raise
            break
    return _merge(found)


def recover_near_repeat(attacker: CuriousCoordinator) -> list[Fact]:
    """The attacked site's own sum: the total, minus the next round's without it, of weights that differ by 1e-9.

    Raises Refused.
    """
    nets, task = _build_task(attacker, 1)
    moved = {name: t + 1e-9 if name.endswith("hidden.bias") else t for name, t in task.inputs.items()}
    total = attacker.ask(task)
    without = attacker.ask_sites(attacker.sites[1:], replace(task, inputs=moved, round=task.round + 1))
    return _merge([fact for net in nets for fact in read_traps(net, subtract(total, without))])


def recover_two_openings(attacker: CuriousCoordinator) -> list[Fact]:
    """The attacked site's own sum, from two openings of one secure sum. Raises Refused."""
    nets, task = _build_task(attacker, 1)
    asked, link = attacker.set_level(task), SitesLink(attacker.sites, attacker.log)
    whole, fewer = open_twice(link, asked, attacker.keys, attacker.sites[0].name)
    if whole is None or fewer is None:
        raise Refused("session", "the sum was not opened twice")
    own = unpack(whole - fewer, asked)
    return _merge([fact for net in nets for fact in read_traps(net, own)])


def list_planned(attacker: CuriousCoordinator) -> list[Fact]:
    """The truth: (type, selected values) of every lesion."""
    return [_describe(attacker, record) for record in map(describe_record, attacker.list_samples(COHORT))]


def list_first_site(attacker: CuriousCoordinator) -> list[Fact]:
    """The truth of the attacked site alone."""
    return list_planned(replace(attacker, sites=attacker.sites[:1]))


def _describe(attacker: CuriousCoordinator, record: Fact) -> Fact:
    places = [CLINICAL_NAMES.index(name) for name in attacker.recipe.selected]
    return (record[0], *(record[1 + place] for place in places))


def _build_task(attacker: CuriousCoordinator, seed: int) -> tuple[list[CraftedFusion], Task]:
    lesions = len(attacker.list_samples(COHORT))  # known from hello
    nets = build_traps(attacker.recipe, lesions, seed)
    models = build_constant_submodels(attacker.recipe)
    return nets, attacker.build_planned_task("train", join_states(*nets), models)


def _ask(attacker: CuriousCoordinator, made: tuple[list[CraftedFusion], Task]) -> list[Fact]:
    nets, task = made
    sums = attacker.ask(task)
    return [fact for net in nets for fact in read_traps(net, sums)]


def _merge(facts: list[Fact]) -> list[Fact]:
    """Each record once: several units may have found it."""
    return list({tuple(np.round(fact, 2)): fact for fact in facts}.values())
