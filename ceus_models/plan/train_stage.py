"""The training stage as a plan states it; `ceus_models/plan/rounds/training.py` says what its rounds do."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Le
from pydantic import Field

from ceus_models.nets.heads import list_nets
from ceus_models.plan.stages import Cohorts, Name, Nets
from ceus_models.plan.strategies import FedAvg, FedProx, Strategy
from ceus_models.plan.terms.net_groups import expand_names
from ceus_models.protocol.messages import Level, LocalRule, Quantisation, Sharing
from ceus_models.study.taxonomy import FUSION_NETS

FIRST_BITS: Literal[16] = 16
"""Of a stage's first round, whatever the plan says: nothing is known of the changes, and a wide range must be fine."""


@dataclass(frozen=True)
class Validation:
    """After every `every` training rounds, and after the last, the nets are evaluated on these cohorts."""

    cohorts: Cohorts = ("validation",)
    every: Annotated[int, Ge(1)] = 3


@dataclass(frozen=True)
class Train:
    """Training of several nets for `rounds` rounds, from their current or initial parameters.

    Args:
        share: of the sites with such lesions, how many train in a round; they are sampled anew for every round.
        schedule: the learning rate of all rounds, or how it falls from that of the rule: "cosine" is the half cosine of
            Loshchilov & Hutter 2017 without restarts, so that the last rounds settle what the first ones found.
        changes: whole numbers of few bits in which the nets' changes travel; as float32 without it.
        weights: dtype in which the nets travel to the sites, which train from these weights; the coordinator adds the
            changes to its own in float32, so that rounding does not accumulate.
        level: what protects the answers of all rounds. Under a private rule the nets are the mean of the later half of
            the rounds, which costs no privacy, where choosing a round by its loss would.
    """

    stage: Literal["train"]
    name: Name
    nets: Nets
    cohorts: Cohorts
    rounds: Annotated[int, Ge(1)]
    strategy: Annotated[Strategy, Field(discriminator="name")] = field(default_factory=FedAvg)
    rule: LocalRule = field(default_factory=LocalRule)
    validate: Validation | None = None
    share: Annotated[float, Gt(0), Le(1)] = 1.0
    schedule: Literal["constant", "cosine"] = "constant"
    level: Level = "none"
    changes: Quantisation | None = None
    weights: Literal["float32", "bfloat16"] = "float32"

    def __post_init__(self) -> None:
        """Raise ValueError for what private training does not allow, or allows nothing else than."""
        faults = list(list_private_faults(self.rule, self.level, self.nets)) if self.rule.private else []
        if self.rule.private and (self.validate or self.share < 1 or isinstance(self.strategy, FedProx)):
            faults.append("no validate, share 1 and a strategy without a proximal term under a private rule")
        if self.rule.private and self.changes:
            faults.append("no changes under a private rule, whose noise is of whole numbers on a grid of its own")
        if self.rule.private and self.schedule != "constant":
            faults.append("schedule constant under a private rule, whose nets are the mean of the later rounds")
        if self.level in ("distributed", "local") and not self.rule.private:
            faults.append(f"a private rule at level {self.level}")
        if faults:
            raise ValueError(f"expected {'; '.join(faults)}; correct this stage")

    def sequence(self) -> tuple[tuple[Literal["train", "evaluate"], int], ...]:
        """The stage's steps: the kind of task, and its training round (from 1)."""
        steps: list[tuple[Literal["train", "evaluate"], int]] = []
        for number in range(1, self.rounds + 1):
            steps.append(("train", number))
            if self.validate and (number % self.validate.every == 0 or number == self.rounds):
                steps.append(("evaluate", number))
        return tuple(steps)

    def steps(self) -> int:
        """Training and validation rounds together."""
        return len(self.sequence())

    def find_rule(self, number: int) -> LocalRule:
        """The strategy's rule with the learning rate of a training round (from 1)."""
        rule = self.strategy.local(self.rule)
        if self.schedule == "constant":
            return rule
        left = (1 + math.cos(math.pi * (number - 1) / self.rounds)) / 2
        return replace(rule, learning_rate=rule.learning_rate * left)

    def list_trained_nets(self, sharing: Sharing) -> tuple[str, ...]:
        """The nets that change."""
        return list_nets(expand_names(self.nets), sharing)

    def sends_rounded(self, kind: str, number: int) -> bool:
        """Whether weights travel in bfloat16; not those of the first round, which a site compares with its plan's."""
        return self.weights == "bfloat16" and (kind, number) != ("train", 1)


def list_private_faults(rule: LocalRule, level: Level, nets: Nets) -> Iterator[str]:
    """What a private rule needs that its level and nets do not give."""
    if rule.private is None:
        return
    if level not in ("distributed", "local"):
        yield f"level distributed or local under a private rule, found {level}"
    if level == "local" and rule.private.sites != 1:
        yield f"private.sites 1 at level local, found {rule.private.sites}"
    if set(expand_names(nets)) & set(FUSION_NETS) and (rule.trains != "all" or rule.private.views != 1):
        yield "trains all and private.views 1 for fusion nets, which see no images"


def count_local_steps(weight: float, rule: LocalRule) -> int:
    """Optimiser steps of a site with this many lesions; its change may grow with them."""
    return rule.epochs * max(1, math.ceil(weight / rule.batch_size))
