"""Laboratory values of one patient, given lesion type and cirrhosis."""

from __future__ import annotations

import math

import numpy as np

from ceus_models.runtime.seeds import derive_seed
from ceus_models.study.taxonomy import CLINICAL
from sim.patients.persons import Person
from sim.patients.priors import (
    AFP_GRADE_LINK,
    AFP_SIZE_LINK,
    CEA_OF_COLORECTAL,
    CIRRHOSIS_EFFECT,
    LABS,
    TYPES,
)

_BOUNDS = {variable.name: (variable.low, variable.high) for variable in CLINICAL}


def draw_labs(person: Person, cirrhosis: bool, seed: int) -> dict[str, float | None]:
    """Draw values in canonical units, in the order of LABS; None where the test was not ordered."""
    missing = _draw_missing(person, seed)
    return {
        name: None if absent else _compute_value(person, name, z, cirrhosis)
        for name, z, absent in zip(LABS, _correlate_normals(person), missing, strict=True)
    }


def _correlate_normals(person: Person) -> list[float]:
    z = person.labs_z.copy()
    if person.slot.fll_type == "HCC":
        own = math.sqrt(1 - AFP_GRADE_LINK**2 - AFP_SIZE_LINK**2)
        afp = list(LABS).index("AFP")
        z[afp] = AFP_GRADE_LINK * person.grade_z + AFP_SIZE_LINK * person.size_z + own * z[afp]
    return [float(value) for value in z]


def _compute_value(person: Person, name: str, z: float, cirrhosis: bool) -> float:
    lab = LABS[name]
    center, spread = lab.of_type[person.slot.fll_type]
    if name == "CEA" and person.subtype == "CRC":
        center, spread = CEA_OF_COLORECTAL
    mean, sd = (center, spread) if lab.normal else (math.log(center), math.log(spread))
    if name in CIRRHOSIS_EFFECT:
        mean, sd = _adjust_moments(person, name, (mean, sd), cirrhosis)
    value = mean + sd * z if lab.normal else math.exp(mean + sd * z)
    low, high = _BOUNDS[name]
    return min(max(round(value, lab.digits), low), high)


def _adjust_moments(person: Person, name: str, moments: tuple[float, float], cirrhosis: bool) -> tuple[float, float]:
    """Mean and sd with or without cirrhosis; both groups together keep the moments of the type."""
    prior = TYPES[person.slot.fll_type]
    share = prior.hepatitis * prior.cirrhosis[0] + (1 - prior.hepatitis) * prior.cirrhosis[1]
    kind, effect = CIRRHOSIS_EFFECT[name]
    shift = math.log(effect) if kind == "x" else effect
    mean, sd = moments
    within = max(sd**2 - shift**2 * share * (1 - share), (0.3 * sd) ** 2)
    return mean + shift * (float(cirrhosis) - share), math.sqrt(within)


def _draw_missing(person: Person, seed: int) -> list[bool]:
    # Hospitals order different tests: each center's missing share is 0.5 to 2 times the prior.
    rng = np.random.default_rng(derive_seed(seed, "laboratory", person.slot.center))
    habits = 2.0 ** rng.uniform(-1.0, 1.0, len(LABS))
    return [bool(u < lab.missing * habit) for lab, u, habit in zip(LABS.values(), person.labs_u, habits, strict=True)]
