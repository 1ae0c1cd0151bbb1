"""Class weights, normalisation and selected clinical variables, computed from global sums only."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ceus_models.metrics.ood import FIGURES, REQUEST_TENSOR, TrainingFigures
from ceus_models.metrics.ood import compute_training_figures as finished
from ceus_models.protocol.messages import Architecture, Normaliser, Recipe, Sharing
from ceus_models.runtime.errors import ExpectedError
from ceus_models.study.taxonomy import (
    BIOMARKERS,
    CLINICAL_NAMES,
    DISEASE_TYPES,
    FUSION_NETS,
    LESION_TYPES,
    STRATEGY_A,
)

if TYPE_CHECKING:  # a plan is read without torch
    from ceus_models.protocol.state import State

Floats = npt.NDArray[np.float64]
SMALLEST_SD = 1e-6
"""A variable that does not vary is centred and left unscaled."""


@dataclass(frozen=True)
class RecipeRule:
    """How the recipe follows from the tally.

    Args:
        cohorts: of the sub-models.
        fusion_cohorts: of the fusion nets.
        min_correlation: a clinical variable with |r| above it is selected.
        max_class_weight: upper bound, so that a type with few lesions does not dominate the loss.
        class_balance: 1 gives all classes equal total weight (best macro recall), 0 all lesions equal weight (best
            accuracy).
    """

    cohorts: tuple[str, ...] = ("training_a",)
    fusion_cohorts: tuple[str, ...] = ("training_b",)
    min_correlation: float = 0.2
    max_class_weight: float = 10.0
    class_balance: float = 1.0


def compute_recipe(
    total: State, rule: RecipeRule, architecture: Architecture, fusion_hidden: int, sharing: Sharing = "separate"
) -> Recipe:
    """Compute what every site needs to build the nets and prepare their inputs.

    Args:
        total: the tally, floats in float64.

    Raises:
        ExpectedError: if no lesion of the training cohorts has a type.
    """
    if float(sum_cohorts(total, rule.cohorts, "types").sum()) == 0:
        raise ExpectedError(
            f"the cohorts {', '.join(rule.cohorts)} must have lesions with a type, found none; "
            "fill in fll_type in lesions.csv"
        )
    return Recipe(
        architecture=architecture,
        normaliser=compute_normaliser(total, rule.cohorts),
        selected=select_variables(correlations(total, rule.cohorts), rule.min_correlation),
        class_weights=compute_class_weights(total, rule),
        fusion_hidden=fusion_hidden,
        sharing=sharing,
    )


def sum_cohorts(total: State, cohorts: Sequence[str], what: str) -> Floats:
    """Sum the tally's tensor `what` over cohorts; zeros where no site had one."""
    parts = [total[f"{cohort}|{what}"].double().numpy() for cohort in cohorts if f"{cohort}|{what}" in total]
    return np.sum(parts, axis=0, dtype=np.float64) if parts else np.zeros(_SHAPES[what])


def compute_class_weights(total: State, rule: RecipeRule) -> Mapping[str, tuple[float, ...]]:
    """Balanced class weights N / (k · n_class) of each net (King & Zeng 2001); binary nets as (negative, positive)."""
    types = sum_cohorts(total, rule.cohorts, "types")
    markers = sum_cohorts(total, rule.cohorts, "biomarkers")
    fusion_types = sum_cohorts(total, rule.fusion_cohorts, "types")
    counts: dict[str, Floats] = {
        f"disease/{name}": np.array([types.sum() - types[index], types[index]])
        for index, name in enumerate(DISEASE_TYPES)
    }
    counts |= {f"biomarker/{name}": markers[index] for index, name in enumerate(BIOMARKERS)}
    counts |= {STRATEGY_A: types[: len(DISEASE_TYPES)]}
    counts |= dict.fromkeys(FUSION_NETS, fusion_types)
    return {net: balance_weights(count, rule.max_class_weight, rule.class_balance) for net, count in counts.items()}


def balance_weights(counts: Floats, cap: float, balance: float = 1.0) -> tuple[float, ...]:
    """(N / (k · n))^balance over the k classes that occur, at most `cap`; 1 for a class without lesions.

    >>> balance_weights(np.array([30.0, 10.0, 0.0]), cap=10.0)
    (0.6666666666666666, 2.0, 1.0)
    """
    present = int((counts > 0).sum())
    return tuple(min(cap, float(counts.sum() / (present * n)) ** balance) if n > 0 else 1.0 for n in counts)


def compute_normaliser(total: State, cohorts: Sequence[str]) -> Normaliser:
    """Compute mean and standard deviation of frames, flow and clinical variables over the training lesions.

    Flow is divided without being centred (its global motion is removed already), so its scale is the root mean
    square, not the deviation from a mean.
    """
    level_n, level_sum, level_squares = sum_cohorts(total, cohorts, "levels")
    flow_n, _, flow_squares = sum_cohorts(total, cohorts, "flow")
    level_mean = level_sum / level_n if level_n else 0.0
    level_sd = math.sqrt(max(level_squares / level_n - level_mean**2, 0.0)) if level_n else 1.0
    flow_sd = math.sqrt(max(flow_squares / flow_n, 0.0)) if flow_n else 1.0
    n, sums, squares = sum_cohorts(total, cohorts, "clinical").T
    mean = np.divide(sums, n, out=np.zeros_like(sums), where=n > 0)
    variance = np.divide(squares, n, out=np.ones_like(squares), where=n > 0) - mean**2 * (n > 0)
    return Normaliser(
        level_mean=float(level_mean),
        level_sd=_scale(level_sd),
        flow_sd=_scale(flow_sd),
        clinical_mean=tuple(float(x) for x in mean),
        clinical_sd=tuple(_scale(float(x)) for x in np.sqrt(np.maximum(variance, 0.0))),
    )


def compute_typical(total: State, cohorts: Sequence[str]) -> TrainingFigures:
    """Compute the distribution of image figures over the training lesions; empty where the tally has none."""
    return finished(sum_cohorts(total, cohorts, REQUEST_TENSOR), int(sum_cohorts(total, cohorts, "levels")[0]))


def correlations(total: State, cohorts: Sequence[str]) -> Floats:
    """Pearson's r (point-biserial) between each clinical variable and each lesion type, as (variables, 6).

    Over the lesions that have the variable; 0 where r is undefined because one of the two is constant.
    """
    n, sums, squares = (column[:, None] for column in sum_cohorts(total, cohorts, "clinical").T)
    by_type = sum_cohorts(total, cohorts, "clinical_by_type")
    n_type, sums_type = by_type[..., 0], by_type[..., 1]
    covariance = n * sums_type - sums * n_type
    spread = np.maximum(n * squares - sums**2, 0.0) * np.maximum(n_type * (n - n_type), 0.0)
    # below rounding, n·Σx² - (Σx)² of a constant is noise, not variance
    defined = (n * squares - sums**2 > 1e-12 * n * squares) & (spread > 0)
    r = np.divide(covariance, np.sqrt(spread), out=np.zeros_like(covariance), where=defined)
    return np.asarray(np.clip(r, -1.0, 1.0), dtype=np.float64)


def select_variables(r: Floats, min_correlation: float) -> tuple[str, ...]:
    """Names of the variables with |r| above the bound for at least one type, in the order of the taxonomy."""
    strong = np.abs(r).max(axis=1) > min_correlation
    return tuple(name for name, take in zip(CLINICAL_NAMES, strong, strict=True) if take)


def _scale(sd: float) -> float:
    return sd if sd > SMALLEST_SD else 1.0


_SHAPES = {
    "types": (len(LESION_TYPES),),
    "biomarkers": (len(BIOMARKERS), 2),
    "levels": (3,),
    "flow": (3,),
    REQUEST_TENSOR: (len(FIGURES), 3),
    "clinical": (len(CLINICAL_NAMES), 3),
    "clinical_by_type": (len(CLINICAL_NAMES), len(LESION_TYPES), 2),
}
