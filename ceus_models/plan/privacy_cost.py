"""What a plan costs the privacy of one patient, before anybody is asked."""

from __future__ import annotations

from dataclasses import dataclass

from ceus_models.plan.net_groups import expand_names
from ceus_models.plan.plan import Plan
from ceus_models.plan.train_stage import Train
from ceus_models.protocol.privacy.accountant import compose, compute_epsilon


@dataclass(frozen=True)
class CohortCost:
    """ε at δ of a patient of one cohort.

    Args:
        total: of all that is released, with everybody's noise.
        share: if all other sites' noise is known: what the site's own share promises alone.
    """

    cohort: str
    total: float
    share: float


def compute_costs(plan: Plan) -> list[CohortCost]:
    """The cost of each cohort that private stages train on, composed over stages, rounds and nets."""
    stages = [s for s in plan.stages if isinstance(s, Train) and s.rule.private]
    cohorts = dict.fromkeys(cohort for stage in stages for cohort in stage.cohorts)
    return [_cost_of(cohort, [s for s in stages if cohort in s.cohorts], plan.delta) for cohort in cohorts]


def _cost_of(cohort: str, stages: list[Train], delta: float) -> CohortCost:
    total, share = [], []
    for stage in stages:
        if stage.rule.private:
            releases = stage.rounds * len(expand_names(stage.nets))
            total += [stage.rule.private.noise] * releases
            share += [stage.rule.private.noise / stage.rule.private.sites**0.5] * releases
    return CohortCost(cohort, compute_epsilon(compose(total), delta), compute_epsilon(compose(share), delta))
