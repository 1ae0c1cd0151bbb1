"""Immunohistochemistry: the markers that a tumor expresses, and the lesions that were tested."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from ceus_models.runtime.seeds import derive_seed
from ceus_models.study.taxonomy import BIOMARKERS
from sim.patients.persons import Person
from sim.patients.priors import GRADE_LINK, HCC_KERATINS, MARKERS, SUBTYPES, TYPES
from sim.patients.table_margins import choose_by_quota

Bools = npt.NDArray[np.bool_]
_NORMAL = NormalDist()
# A pathologist who suspects an HCC stains for Hep and GPC3, one who suspects a metastasis for the keratins.
_HABIT: Mapping[str, tuple[float, float, float, float]] = {
    "HCC": (0.15, 0.15, -0.1, -0.1),
    "HM": (-0.15, -0.2, 0.2, 0.2),
}


def compute_markers(person: Person) -> dict[str, int]:
    """The true status of the four biomarkers (0 or 1), tested or not.

    Each marker's latent variable is correlated with the tumor's latent grade; the prior share of positives is kept.
    """
    fll_type = person.slot.fll_type
    latent = _compute_latents(person)
    shares = SUBTYPES[fll_type][person.subtype].markers if fll_type in SUBTYPES else MARKERS[fll_type]
    status = {name: int(u > 1 - share) for name, u, share in zip(BIOMARKERS, latent, shares, strict=True)}
    if fll_type == "HCC":
        status |= dict(zip(("CK7", "CK19"), _select_keratins(latent[3]), strict=True))
    return status


def select_tested(lesions: Sequence[tuple[Person, int]], quota: Mapping[str, int], seed: int) -> list[tuple[bool, ...]]:
    """Select for each lesion (patient, lesion number) of a cohort the biomarkers that have a result.

    Args:
        lesions: of the cohort.
        quota: "any" or a biomarker → lesions with a result; met exactly.
        seed: of the study.
    """
    rngs = [np.random.default_rng(derive_seed(seed, "tested", p.slot.center, n)) for p, n in lesions]
    draws = np.asarray([rng.random(1 + len(BIOMARKERS)) for rng in rngs]).reshape(-1, 1 + len(BIOMARKERS))
    chances = np.asarray([TYPES[person.slot.fll_type].tested for person, _ in lesions])
    one = np.ones(len(lesions), dtype=np.int64)
    any_result = choose_by_quota(draws[:, 0], chances, one, quota["any"])
    habits = np.asarray([_HABIT.get(person.slot.fll_type, (0.0,) * 4) for person, _ in lesions])
    found = np.repeat(any_result[:, None], len(BIOMARKERS), axis=1)
    for column, name in enumerate(BIOMARKERS):
        score = draws[:, 1 + column] + habits[:, column].reshape(-1)
        found[_select_dropped(found, score, quota["any"] - quota[name]), column] = False
    return [tuple(row) for row in found.tolist()]


def _select_dropped(found: Bools, score: npt.NDArray[np.float64], count: int) -> npt.NDArray[np.int64]:
    """The `count` lesions with the lowest score among those that keep another result."""
    candidates = np.flatnonzero(found.sum(axis=1) > 1)
    return candidates[np.argsort(score[candidates], kind="stable")[:count]]


def _compute_latents(person: Person) -> list[float]:
    links = GRADE_LINK.get(person.slot.fll_type, (0.0,) * 4)
    return [
        _NORMAL.cdf(link * person.grade_z + math.sqrt(1 - link**2) * float(z))
        for link, z in zip(links, person.markers_z, strict=True)
    ]


def _select_keratins(u: float) -> tuple[int, int]:
    reached = 0.0
    for share, pair in HCC_KERATINS:
        reached += share
        if u < reached:
            return pair
    return HCC_KERATINS[-1][1]
