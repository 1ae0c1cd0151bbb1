"""What a plan costs the privacy of one patient, before anybody is asked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ceus_models.plan.plan import Plan
from ceus_models.plan.stages import Evaluate, Stage
from ceus_models.plan.train_stage import Train
from ceus_models.protocol.messages import Sharing
from ceus_models.protocol.privacy.accountant import compose, compute_epsilon

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


def compute_costs(plan: Plan) -> list[CohortCost]:
    """The cost of each cohort of stages with noise, composed over stages, rounds and nets."""
    released = [one for stage in plan.stages for one in _list_releases(stage, plan.sharing)]
    cohorts = dict.fromkeys(cohort for one in released for cohort in one.cohorts)
    return [_cost_of(cohort, [one for one in released if cohort in one.cohorts], plan.delta) for cohort in cohorts]


@dataclass(frozen=True)
class _Release:
    """So many Gaussian releases of one noise multiplier, made of the shares of some sites."""

    cohorts: tuple[str, ...]
    count: int
    noise: float
    sites: int


def _list_releases(stage: Stage, sharing: Sharing) -> Iterator[_Release]:
    if isinstance(stage, Train) and stage.rule.private:
        private = stage.rule.private
        nets = len(stage.list_trained_nets(sharing))
        yield _Release(stage.cohorts, stage.rounds * nets, private.noise, private.sites)
    if isinstance(stage, Evaluate) and stage.noise:
        yield _Release(stage.cohorts, 1, stage.noise, stage.noise_sites)


def _cost_of(cohort: str, released: list[_Release], delta: float) -> CohortCost:
    known: list[list[float]] = [[], [], []]
    for one in released:
        honest = (one.sites, max(1, one.sites - COLLUDING), 1)
        for releases, sites in zip(known, honest, strict=True):
            releases.extend([one.noise * (sites / one.sites) ** 0.5] * one.count)
    return CohortCost(cohort, *(compute_epsilon(compose(releases), delta) for releases in known))
