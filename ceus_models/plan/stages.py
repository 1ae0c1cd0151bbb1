"""The stages hello, statistics and evaluate as a plan states them; `ceus_models/plan/rounds/` says what they do."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Le, Lt, MinLen
from pydantic import AfterValidator

from ceus_models.metrics.evaluation_release import NOISED_LEVELS, evaluation_sensitivity
from ceus_models.plan.terms.net_groups import cohort, expand_names, net
from ceus_models.protocol.messages import Level

Cohorts = Annotated[tuple[Annotated[str, AfterValidator(cohort)], ...], MinLen(1)]
Nets = Annotated[tuple[Annotated[str, AfterValidator(net)], ...], MinLen(1)]
Name = Annotated[str, MinLen(1)]


@dataclass(frozen=True)
class Hello:
    """Register the sites: same versions and settings, and their numbers of lesions."""

    stage: Literal["hello"]
    name: Name = "hello"

    def steps(self) -> int:
        """One round."""
        return 1


@dataclass(frozen=True)
class Statistics:
    """One tally, which gives the recipe: class weights, normalisation, selected clinical variables."""

    stage: Literal["statistics"]
    name: Name = "statistics"
    cohorts: Cohorts = ("training_a",)
    fusion_cohorts: Cohorts = ("training_b",)
    min_correlation: Annotated[float, Ge(0), Lt(1)] = 0.2
    max_class_weight: Annotated[float, Gt(1)] = 10.0
    class_balance: Annotated[float, Ge(0), Le(1)] = 1.0
    level: Level = "none"

    def steps(self) -> int:
        """One round."""
        return 1


@dataclass(frozen=True)
class Evaluate:
    """Counts of finished nets on some cohorts; no training.

    Args:
        replicates: bootstrap replicates that the coordinator draws from the counts.
        paired_replicates: replicates with weights of the lesions, which sites are asked for to pair the arms of a
            simulation. They single out lesions, so a hospital's policy refuses them unless it says otherwise.
        noise: standard deviation of the noise in the sum over `noise_sites` sites, in multiples of
            `ceus_models.metrics.evaluation_release.evaluation_sensitivity`; 0 for none.
        noise_sites: whose shares make up the noise; at level local each site's numbers carry the whole of it.
    """

    stage: Literal["evaluate"]
    name: Name
    nets: Nets
    cohorts: Cohorts
    replicates: Annotated[int, Ge(0), Lt(10_000)] = 1000
    paired_replicates: Annotated[int, Ge(0), Lt(10_000)] = 0
    noise: Annotated[float, Ge(0)] = 0.0
    noise_sites: Annotated[int, Ge(1)] = 1
    level: Level = "none"

    def __post_init__(self) -> None:
        """Raise ValueError for a level that the noise does not fit."""
        if (self.noise > 0) != (self.level in NOISED_LEVELS):
            raise ValueError(
                f"expected noise above 0 at levels distributed and local alone, found {self.noise:g} at {self.level}"
            )
        if self.level == "local" and self.noise_sites != 1:
            raise ValueError(f"expected noise_sites 1 at level local, found {self.noise_sites}")

    def compute_noise_sd(self, sites: int) -> float:
        """Standard deviation of the noise in a cell of the total of so many sites, in lesions.

        Each adds its share, so more sites than `noise_sites` make more noise than the plan asks.
        """
        return self.noise * evaluation_sensitivity(expand_names(self.nets)) * math.sqrt(sites / self.noise_sites)

    def steps(self) -> int:
        """One round."""
        return 1
