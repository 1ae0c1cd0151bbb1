"""What a plan costs the privacy of one patient, before anybody is asked."""

from __future__ import annotations

from dataclasses import dataclass

from ceus_models.plan.net_groups import expand_names
from ceus_models.plan.plan import Plan
from ceus_models.plan.train_stage import Train
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
    """The cost of each cohort that private stages train on, composed over stages, rounds and nets."""
    stages = [s for s in plan.stages if isinstance(s, Train) and s.rule.private]
    cohorts = dict.fromkeys(cohort for stage in stages for cohort in stage.cohorts)
    return [_cost_of(cohort, [s for s in stages if cohort in s.cohorts], plan.delta) for cohort in cohorts]


def _cost_of(cohort: str, stages: list[Train], delta: float) -> CohortCost:
    known: list[list[float]] = [[], [], []]
    for stage in stages:
        if private := stage.rule.private:
            honest = (private.sites, max(1, private.sites - COLLUDING), 1)
            for releases, sites in zip(known, honest, strict=True):
                alone = private.noise * (sites / private.sites) ** 0.5
                releases += [alone] * stage.rounds * len(expand_names(stage.nets))
    return CohortCost(cohort, *(compute_epsilon(compose(releases), delta) for releases in known))
