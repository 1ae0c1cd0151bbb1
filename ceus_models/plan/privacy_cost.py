"""What a plan costs the privacy of one patient, before anybody is asked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ceus_models.plan.net_groups import expand_names
from ceus_models.plan.plan import Plan
from ceus_models.plan.stages import Evaluate, Stage
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
    """The cost of each cohort of stages with noise, composed over stages, rounds and nets."""
    released = [one for stage in plan.stages for one in _list_releases(stage)]
    cohorts = dict.fromkeys(cohort for one in released for cohort in one.cohorts)
    return [_cost_of(cohort, [one for one in released if cohort in one.cohorts], plan.delta) for cohort in cohorts]


@dataclass(frozen=True)
class _Release:
    """So many Gaussian releases of one noise multiplier, made of the shares of some sites."""

    cohorts: tuple[str, ...]
    count: int
    noise: float
    sites: int


def _list_releases(stage: Stage) -> Iterator[_Release]:
    if isinstance(stage, Train) and stage.rule.private:
        private = stage.rule.private
        yield _Release(stage.cohorts, stage.rounds * len(expand_names(stage.nets)), private.noise, private.sites)
    if isinstance(stage, Evaluate) and stage.noise:
        yield _Release(stage.cohorts, 1, stage.noise, stage.noise_sites)


def _cost_of(cohort: str, released: list[_Release], delta: float) -> CohortCost:
    total = [one.noise for one in released for _ in range(one.count)]
    share = [one.noise / one.sites**0.5 for one in released for _ in range(one.count)]
    return CohortCost(cohort, compute_epsilon(compose(total), delta), compute_epsilon(compose(share), delta))
