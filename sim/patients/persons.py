"""The random numbers of one patient, from the patient's own seed, before the study's counts are met."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from ceus_models.runtime.seeds import derive_seed
from ceus_models.study.cohorts import FIRST_DAY, LAST_DAY, PROSPECTIVE_FROM, assign_cohort
from ceus_models.study.taxonomy import BIOMARKERS
from sim.patients.priors import LAB_CORRELATIONS, LABS, SUBTYPES, TYPES

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Slot:
    """A patient in the split; `lesions` are the patient's numbers among the lesions of the center."""

    center: int
    cohort: str
    fll_type: str
    lesions: tuple[int, ...]

    @property
    def index(self) -> int:
        """The number of the patient's first lesion: unique within the center."""
        return self.lesions[0]


@dataclass(frozen=True)
class Person:
    """A patient before the margins are met.

    Args:
        slot: in the split.
        patient_id: the hospital's own.
        exam_date: day of the CEUS exam.
        subtype: of the lesion type.
        uniform: purpose → number in (0, 1).
        grade_z: latent grade, standard normal.
        size_z: latent size of the patient's lesions, standard normal.
        sizes_z: (lesions) standard normal, correlated within the patient.
        age_raw: years.
        labs_z: (labs) correlated standard normal, in the order of LABS.
        labs_u: (labs) uniform.
        markers_z: (4) standard normal.
    """

    slot: Slot
    patient_id: str
    exam_date: datetime.date
    subtype: str
    uniform: Mapping[str, float]
    grade_z: float
    size_z: float
    sizes_z: tuple[float, ...]
    age_raw: float
    labs_z: Floats
    labs_u: Floats
    markers_z: Floats

    def chance(self, trait: str) -> float:
        """Prior probability of a binary trait: "male", "hepatitis" or "malignancy"."""
        prior = TYPES[self.slot.fll_type]
        subtype = SUBTYPES.get(self.slot.fll_type, {}).get(self.subtype)
        if trait == "male" and subtype and subtype.male is not None:
            return subtype.male
        return {"male": prior.male, "hepatitis": prior.hepatitis, "malignancy": prior.malignancy}[trait]


_PURPOSES = ("male", "hepatitis", "malignancy", "cirrhosis", "fatty_liver", "confirmed", "device", "diabetes")
_SIZE_LINK = 0.6
"""The square is the correlation of the sizes of two lesions of one patient."""


def draw_person(slot: Slot, seed: int) -> Person:
    """Draw all random numbers of a patient, from (seed, center, first lesion) alone."""
    rng = np.random.default_rng(derive_seed(seed, "patients", slot.center, slot.index))
    uniform = dict(zip(_PURPOSES, np.clip(rng.random(len(_PURPOSES)), 1e-9, 1 - 1e-9).tolist(), strict=True))
    subtype = _select_subtype(slot.fll_type, float(rng.random()))
    grade_z, size_z, age_z = rng.standard_normal(3).tolist()
    own = rng.standard_normal(len(slot.lesions))
    mean, sd = _select_age_prior(slot.fll_type, subtype)
    exam_date = _compute_exam_date(slot.cohort, float(rng.random()))
    return Person(
        slot=slot,
        exam_date=exam_date,
        subtype=subtype,
        uniform=uniform,
        grade_z=grade_z,
        size_z=size_z,
        sizes_z=tuple((_SIZE_LINK * size_z + np.sqrt(1 - _SIZE_LINK**2) * own).tolist()),
        age_raw=mean + sd * age_z,
        labs_z=_compute_lab_factor() @ rng.standard_normal(len(LABS)),
        labs_u=rng.random(len(LABS)),
        markers_z=rng.standard_normal(len(BIOMARKERS)),
        patient_id=_draw_patient_id(slot, exam_date, rng),
    )


def _select_subtype(fll_type: str, u: float) -> str:
    table = SUBTYPES.get(fll_type)
    if not table:
        return ""
    reached = np.cumsum([entry.share for entry in table.values()])
    return list(table)[int(np.searchsorted(reached, u * reached[-1], side="right"))]


def _select_age_prior(fll_type: str, subtype: str) -> tuple[float, float]:
    entry = SUBTYPES.get(fll_type, {}).get(subtype)
    return (entry and entry.age) or TYPES[fll_type].age


def _compute_exam_date(cohort: str, u: float) -> datetime.date:
    prospective = cohort == "external_test_c"
    first = PROSPECTIVE_FROM if prospective else FIRST_DAY
    days = ((LAST_DAY if prospective else PROSPECTIVE_FROM - datetime.timedelta(days=1)) - first).days + 1
    return first + datetime.timedelta(days=int(u * days))


def _draw_patient_id(slot: Slot, exam_date: datetime.date, rng: np.random.Generator) -> str:
    """Draw patient ids until the hash rule assigns the wanted cohort, so that the cohorts have exact counts.

    Ids have leading zeros, as in many hospitals: reading them as numbers would change them.
    """
    for _ in range(2000):
        candidate = f"00{slot.center:02d}{slot.index:04d}{int(rng.integers(10000)):04d}"
        if assign_cohort(slot.center, exam_date, candidate) == slot.cohort:
            return candidate
    raise ValueError(f"expected a cohort of center {slot.center} on {exam_date}, found {slot.cohort}")


@cache
def _compute_lab_factor() -> Floats:
    """Cholesky factor (labs, labs) of LAB_CORRELATIONS."""
    correlation, order = np.eye(len(LABS)), list(LABS)
    for (one, other), rho in LAB_CORRELATIONS.items():
        i, j = order.index(one), order.index(other)
        correlation[i, j] = correlation[j, i] = rho
    return np.asarray(np.linalg.cholesky(correlation), dtype=np.float64)
