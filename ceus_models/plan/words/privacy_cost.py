"""What a plan costs the privacy of one patient, before anybody is asked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ceus_models.plan.terms.net_groups import expand_names
from ceus_models.plan.words.outline import PlanOutline, read_outline
from ceus_models.protocol.messages import CountNoise, Level, PrivateRule
from ceus_models.protocol.privacy.accountant import compose, compute_epsilon

if TYPE_CHECKING:  # it loads torch
    from ceus_models.plan.plan import Plan

COLLUDING = 2
"""Sites that may tell their noise, as hospitals' policies count unless they say otherwise."""


@dataclass(frozen=True)
class CohortCost:
    """ε at δ of a patient of one cohort.

    Args:
        total: of all that is released.
        honest: to somebody who knows the noise of COLLUDING other sites.
        own: to somebody who knows the noise of all other sites.
    """

    cohort: str
    total: float
    honest: float
    own: float


def compute_costs(plan: Plan | PlanOutline) -> list[CohortCost]:
    """The cost of each cohort of stages with noise, composed over stages, rounds and nets."""
    released = list(list_releases(plan))
    cohorts = dict.fromkeys(cohort for one in released for cohort in one.cohorts)
    return [_cost_of(cohort, [one for one in released if cohort in one.cohorts], plan.delta) for cohort in cohorts]


@dataclass(frozen=True)
class Release:
    """What one round of a stage releases: so many Gaussian releases of one noise multiplier.

    Args:
        round: 0 for the one round of an evaluation.
        nets: that are trained or evaluated.
        count: of releases.
        noise: made of the shares of its sites.
    """

    stage: str
    round: int
    level: Level
    cohorts: tuple[str, ...]
    nets: int
    count: int
    noise: PrivateRule | CountNoise


def list_releases(plan: Plan | PlanOutline) -> Iterator[Release]:
    """All rounds of a plan that release noised numbers, in order."""
    outline = plan if isinstance(plan, PlanOutline) else read_outline(plan.plain())
    for stage in outline.stages:
        if stage.stage == "evaluate" and stage.noise:
            nets, noise = len(expand_names(stage.nets)), CountNoise(stage.noise, stage.noise_sites)
            yield Release(stage.name, 0, stage.level, stage.cohorts, nets, 1, noise)
        if stage.stage == "train" and stage.rule and stage.rule.private:
            nets = len(stage.list_trained_nets(outline.sharing))
            for number in range(1, stage.rounds + 1):
                yield Release(stage.name, number, stage.level, stage.cohorts, nets, nets, stage.rule.private)


def _cost_of(cohort: str, released: list[Release], delta: float) -> CohortCost:
    known: list[list[float]] = [[], [], []]
    for one in released:
        noise, shares = one.noise.noise, one.noise.sites
        honest = (shares, max(1, shares - COLLUDING), 1)
        for releases, sites in zip(known, honest, strict=True):
            releases.extend([noise * (sites / shares) ** 0.5] * one.count)
    return CohortCost(cohort, *(compute_epsilon(compose(releases), delta) for releases in known))
