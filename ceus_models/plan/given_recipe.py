"""A recipe of public constants, for a plan that has no statistics: what is published costs no patient any privacy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Annotated

import numpy as np
from annotated_types import MinLen
from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from ceus_models.plan.recipe import balance_weights
from ceus_models.protocol.messages import Architecture, Normaliser, Recipe, Sharing
from ceus_models.study.taxonomy import (
    BIOMARKER_NETS,
    BIOMARKERS,
    CLINICAL,
    CLINICAL_NAMES,
    DISEASE_NETS,
    DISEASE_TYPES,
    FUSION_NETS,
    LESION_TYPES,
    STRATEGY_A,
    Variable,
)

RANGE_IN_SD = 6.0
"""A variable without moments of its own has its plausible range, which is taken as ± 3 standard deviations."""

Share = Annotated[float, Field(gt=0, lt=1)]
Moments = tuple[float, Annotated[float, Field(gt=0)]]


@dataclass(frozen=True, config=ConfigDict(extra="forbid", allow_inf_nan=False))
class Given:
    """What a study takes from the literature in place of its own statistics.

    Args:
        selected: clinical variables of the fusion nets.
        prevalence: share of each lesion type; all types are equally common without it.
        positive: share of positive tests of each biomarker, half without it.
        level: mean and standard deviation of a frame's levels, 0-1.
        flow_sd: root mean square of optical flow, in px.
        clinical: mean and standard deviation of a variable as the nets see it (transformed), its range without it.
        max_class_weight: upper bound of a class weight.
        class_balance: 1 gives all classes equal total weight, 0 all lesions.
    """

    selected: Annotated[tuple[str, ...], MinLen(1)]
    prevalence: Mapping[str, Share] = field(default_factory=dict)
    positive: Mapping[str, Share] = field(default_factory=dict)
    level: Moments = (0.3, 0.25)
    flow_sd: Annotated[float, Field(gt=0)] = 1.0
    clinical: Mapping[str, Moments] = field(default_factory=dict)
    max_class_weight: Annotated[float, Field(gt=1)] = 10.0
    class_balance: Annotated[float, Field(ge=0, le=1)] = 1.0

    def __post_init__(self) -> None:
        """Raise ValueError for names that the study does not know, or knows twice."""
        _check_names("selected", self.selected, CLINICAL_NAMES)
        _check_names("clinical", tuple(self.clinical), CLINICAL_NAMES)
        _check_names("positive", tuple(self.positive), BIOMARKERS)
        _check_names("prevalence", tuple(self.prevalence), LESION_TYPES)
        if self.prevalence and len(self.prevalence) < len(LESION_TYPES):
            raise ValueError(f"expected in prevalence all of {', '.join(LESION_TYPES)}; add what is missing")

    def recipe(self, architecture: Architecture, fusion_hidden: int, sharing: Sharing = "separate") -> Recipe:
        """The recipe that sites get."""
        moments = [self.clinical.get(variable.name, _span(variable)) for variable in CLINICAL]
        return Recipe(
            architecture=architecture,
            normaliser=Normaliser(
                level_mean=self.level[0],
                level_sd=self.level[1],
                flow_sd=self.flow_sd,
                clinical_mean=tuple(mean for mean, _ in moments),
                clinical_sd=tuple(sd for _, sd in moments),
            ),
            selected=tuple(name for name in CLINICAL_NAMES if name in self.selected),
            class_weights=self._weigh_classes(),
            fusion_hidden=fusion_hidden,
            sharing=sharing,
        )

    def _weigh_classes(self) -> Mapping[str, tuple[float, ...]]:
        types = np.array([self.prevalence.get(name, 1 / len(LESION_TYPES)) for name in LESION_TYPES])
        trained = types[: len(DISEASE_TYPES)]
        yes = [self.positive.get(name, 0.5) for name in BIOMARKERS]
        shares = {net: np.array([trained.sum() - n, n]) for net, n in zip(DISEASE_NETS, trained, strict=True)}
        shares |= {net: np.array([1 - n, n]) for net, n in zip(BIOMARKER_NETS, yes, strict=True)}
        shares |= {STRATEGY_A: trained, **dict.fromkeys(FUSION_NETS, types)}
        return {net: balance_weights(share, self.max_class_weight, self.class_balance) for net, share in shares.items()}


def _span(variable: Variable) -> Moments:
    """Middle of the plausible range, and the standard deviation that it stands for."""
    low, high = (variable.apply_transform(value) for value in (variable.low, variable.high))
    return (low + high) / 2, (high - low) / RANGE_IN_SD


def _check_names(key: str, names: tuple[str, ...], known: tuple[str, ...]) -> None:
    odd = [name for name in names if name not in known] + [name for name in names if names.count(name) > 1]
    if odd:
        raise ValueError(f"expected in {key} each once of {', '.join(known)}, found {odd[0]}; correct its spelling")
