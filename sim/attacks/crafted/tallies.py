"""Differences of tallies: two around one new patient, and a total minus the cells that are shown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from ceus_models.protocol.messages import Task
from ceus_models.study.sample import Sample
from ceus_models.study.taxonomy import CLINICAL
from client.worker.site.site import Site
from sim.attacks.coordinator import CuriousCoordinator, Refused
from sim.attacks.facts import Fact

COHORT = "training_a"


def recover_new_patient(attacker: CuriousCoordinator) -> list[Fact]:
    """Clinical values of a patient who came between two tallies. Raises Refused where the first is refused.

    Asked again as it was, as a new attempt, and as a round of another name.
    """
    first = attacker.build_planned_tally()
    before = _begin(attacker, _without_newest(attacker)).ask(first)
    for again in _ask_again(first):
        try:
            after = attacker.ask(again)
        except Refused:
            continue
        n, value, _ = (after[f"{COHORT}|clinical"] - before[f"{COHORT}|clinical"]).numpy().T
        if n.any():
            return [(float(place), float(value[place])) for place in np.flatnonzero(n == 1)]
    return []


def list_new_patient(attacker: CuriousCoordinator) -> list[Fact]:
    """The truth: (variable, value) of what is recorded of the newest lesion."""
    clinical = attacker.list_samples(COHORT, "tally")[0].clinical
    return [(float(place), float(value)) for place, value in enumerate(clinical) if not np.isnan(value)]


def _ask_again(task: Task) -> Iterator[Task]:
    yield task
    yield replace(task, attempt=1)
    yield replace(task, round=task.round + 1)
    yield replace(task, stage=f"{task.stage}-again")


def _begin(attacker: CuriousCoordinator, sites: list[Site]) -> CuriousCoordinator:
    """The attacker before these sites, who have begun the study; their keys hold for the attacker's own sites too."""
    begun = replace(attacker, sites=sites)
    begun.greet()
    return begun


def _without_newest(attacker: CuriousCoordinator) -> list[Site]:
    """The sites before the first lesion of the attacked one's cohort was there."""
    newest = next(s for s in attacker.sites[0].samples if s.cohort == COHORT and s.label is not None)
    older = replace(attacker.sites[0], samples=[s for s in attacker.sites[0].samples if s is not newest])
    return [older, *attacker.sites[1:]]


def recover_lone_lesion(attacker: CuriousCoordinator) -> list[Fact]:
    """Values of the only lesion of a type, which the minimum cell hides: the total minus the types that are shown.

    Raises Refused.
    """
    task = attacker.build_planned_tally()
    answer = _begin(attacker, _keep_one_rare(attacker)[0]).ask(task)
    whole = answer[f"{COHORT}|clinical"].numpy()  # (variables [n, Σx, Σx²])
    shown = answer[f"{COHORT}|clinical_by_type"].numpy().sum(axis=1)  # (variables [n, Σx])
    alone = np.flatnonzero(whole[:, 0] - shown[:, 0] == 1)
    return [(float(place), float(whole[place, 1] - shown[place, 1])) for place in alone]


def list_lone_lesion(attacker: CuriousCoordinator) -> list[Fact]:
    """The truth: (variable, value) of the numbers that are recorded of it."""
    lone = _keep_one_rare(attacker)[1]
    return [
        (float(place), float(lone.clinical[place]))
        for place, variable in enumerate(CLINICAL)
        if variable.kind == "number" and not np.isnan(lone.clinical[place])
    ]


def _keep_one_rare(attacker: CuriousCoordinator) -> tuple[list[Site], Sample]:
    """The sites with their two commonest types and, at the attacked one, a single lesion of another; that lesion."""
    held = Counter(sample.label for sample in attacker.list_samples(COHORT, "tally"))
    common = {kind for kind, _ in held.most_common(2)}
    lone = next(s for s in attacker.sites[0].samples if s.cohort == COHORT and s.label and s.label not in common)
    kept = [
        replace(site, samples=[s for s in site.samples if s.label in common or s is lone]) for site in attacker.sites
    ]
    return kept, lone
