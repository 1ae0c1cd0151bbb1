"""Refusals as answers: a task that fails, or not, by one patient's value, halves the range of that value."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ceus_models.protocol.messages import Refusal
from ceus_models.study.sample import Sample
from ceus_models.study.taxonomy import CLINICAL, CLINICAL_NAMES, LESION_TYPES
from sim.attacks.coordinator import CuriousCoordinator, Refused
from sim.attacks.crafted.fusion_net import CraftedFusion, Floats, Question, add_submodels, join_states, standardise
from sim.attacks.crafted.histograms import COHORT, NETS, widen_recipe
from sim.attacks.facts import Fact

WANTED = "AFP"
QUESTIONS = 50
_HUGE = 1e30
_STEEP = 20.0
_PLACE = CLINICAL_NAMES.index(WANTED)


def recover_by_refusals(attacker: CuriousCoordinator) -> list[Fact]:
    """AFP of one patient whose other values are known, by halves. Raises Refused.

    A net overflows where the patient's value is above a threshold; a second net of the task never fits, so that the
    site refuses in either case and counts no round. What tells the cases apart is the refusal's code or text.
    """
    low, high = (CLINICAL[_PLACE].apply_transform(v) for v in (CLINICAL[_PLACE].low, CLINICAL[_PLACE].high))
    below, above = (_ask(attacker, threshold, -1 - i) for i, threshold in enumerate((low - 1, high + 1)))
    if below == above:
        raise Refused("error", "the refusal is the same whatever the value is")
    for number in range(QUESTIONS - 2):
        middle = (low + high) / 2
        low, high = (middle, high) if _ask(attacker, middle, number) == below else (low, middle)
    return [((low + high) / 2,)]


def list_wanted(attacker: CuriousCoordinator) -> list[Fact]:
    """The truth."""
    return [(float(_choose_victim(attacker)[0].clinical[_PLACE]),)]


def _ask(attacker: CuriousCoordinator, threshold: float, number: int) -> str:
    """The refusal's code and text."""
    recipe = widen_recipe(attacker.recipe)
    mean, sd = recipe.normaliser.clinical_mean[_PLACE], recipe.normaliser.clinical_sd[_PLACE]
    victim, direction = _choose_victim(attacker)
    values, _ = standardise(victim.clinical, recipe)
    above = np.eye(len(CLINICAL_NAMES))[_PLACE]
    question = Question(above + direction, -1e3 * above, -(threshold - mean) / sd - float(direction @ values))
    trap, misfit = CraftedFusion(NETS[0], recipe), CraftedFusion(NETS[1], recipe)
    trap.write(0, question.scale(_HUGE))
    trap.out[0, 0] = _HUGE
    inputs = join_states(trap, misfit)
    inputs[f"{NETS[1]}|out.bias"] = inputs[f"{NETS[1]}|out.bias"][:-1]
    task = attacker.build_task("evaluate", NETS, cohorts=(COHORT,), inputs=inputs)
    task = add_submodels(replace(task, round=task.round + number + 2), recipe)
    answers = [attacker.ask_site(site, task) for site in attacker.list_seen("evaluate")]
    return "; ".join(f"{a.code}: {a.reason}" if isinstance(a, Refusal) else "answered" for a in answers)


def _choose_victim(attacker: CuriousCoordinator) -> tuple[Sample, Floats]:
    """A patient of the commonest type whom a direction of known values tells from all others, and that direction.

    The attacker knows the patient; which patients a direction singles out is taken from the truth.
    """
    recipe = widen_recipe(attacker.recipe)
    samples = [sample for sample in attacker.list_samples(COHORT, "evaluate") if sample.label == LESION_TYPES[0]]
    known = np.stack([standardise(sample.clinical, recipe)[0] for sample in samples])
    known[:, _PLACE] = 0.0
    best: tuple[float, int] = (-1.0, 0)
    for row, sample in enumerate(samples):
        ahead = known[row] @ known[row] - np.delete(known, row, axis=0) @ known[row]
        if not np.isnan(sample.clinical[_PLACE]):
            best = max(best, (float(ahead.min()), row))
    return samples[best[1]], known[best[1]] * _STEEP
