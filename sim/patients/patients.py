"""The patients of a simulated study: demographics, laboratory values and pathology.

Every patient has an own seed. Then the counts of the study's Table 1 are met cohort by cohort
(`sim.patients.table_margins`); cirrhosis and laboratory values, which depend on them, are last.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from ceus_models.runtime.seeds import derive_seed
from ceus_models.study.taxonomy import BIOMARKERS, CLINICAL_NAMES, COHORTS
from sim.patients.centers import Split, draw_devices
from sim.patients.immunohistochemistry import compute_markers, select_tested
from sim.patients.labs import draw_labs
from sim.patients.persons import Person, Slot, draw_person
from sim.patients.priors import MALIGNANT_ENTITIES, TYPES
from sim.patients.study_table import AGE_YEARS, TUMOR_SIZE_CM
from sim.patients.table_margins import Floats, Ints, choose_by_quota, fit_to_bands

MOST_LESIONS_OF_A_PATIENT = 3
_NORMAL = NormalDist()


@dataclass(frozen=True)
class Case:
    """One lesion without its video.

    Args:
        center: 1-52.
        cohort: one of COHORTS.
        lesion_id: the hospital's own.
        patient_id: the hospital's own.
        exam_date: day of the CEUS exam.
        fll_type: lesion type.
        subtype: primary tumor of an HM, entity of an OT, else "".
        grade: latent dedifferentiation in [0, 1], which links markers, AFP and the video.
        clinical: the variables in canonical units, None = not recorded.
        biomarkers: 0, 1 or None = no result.
        pathology_confirmed: whether pathology confirmed the type.
        manufacturer: of the ultrasound machine.
        size_cm: largest diameter.
        followed_up: whether clinical follow-up confirmed the type, where pathology did not.
    """

    center: int
    cohort: str
    lesion_id: str
    patient_id: str
    exam_date: datetime.date
    fll_type: str
    subtype: str
    grade: float
    clinical: Mapping[str, float | None]
    biomarkers: Mapping[str, int | None]
    pathology_confirmed: bool
    manufacturer: str
    size_cm: float
    followed_up: bool = True


@dataclass(frozen=True)
class _Traits:
    """Traits that meet the margins, by patient (n), sizes by lesion in the order of the patients."""

    age: Ints
    male: Sequence[bool]
    hepatitis: Sequence[bool]
    malignancy: Sequence[bool]
    size_tenths: Sequence[tuple[int, ...]]


def draw_cases(split: Split, seed: int) -> tuple[Case, ...]:
    """Draw the cases of a study, in the order of cohort, center and lesion.

    The cases depend on split and seed alone. A patient's random numbers depend on (seed, center, lesion); only meeting
    the margins uses the whole cohort.
    """
    slots = list(_iterate_slots(split, seed))
    cases: list[Case] = []
    for cohort in COHORTS:
        persons = [draw_person(slot, seed) for slot in slots if slot.cohort == cohort]
        if persons:
            cases += _draw_cohort_cases(persons, split, seed)
    return tuple(cases)


def _iterate_slots(split: Split, seed: int) -> Iterator[Slot]:
    """The patients of the split; all lesions of a patient have the same center, cohort and type."""
    numbers: dict[int, int] = {}
    rows: dict[str, list[tuple[int, str, int, int]]] = {cohort: [] for cohort in COHORTS}
    for (center, cohort, fll_type), count in split.cells.items():
        start = numbers.get(center, 0) + 1
        numbers[center] = start + count - 1
        rows[cohort] += [(center, fll_type, start, start + k) for k in range(count)]
    for cohort, lesions in rows.items():
        joined = _select_joined(lesions, len(lesions) - split.patients[cohort], seed)
        for first, members in _iterate_runs(lesions, joined):
            yield Slot(first[0], cohort, first[1], members)


def _select_joined(lesions: Sequence[tuple[int, str, int, int]], count: int, seed: int) -> set[tuple[int, int]]:
    """The `count` lesions (center, number) that belong to the same patient as the lesion before them."""
    candidates = [(center, number, kind) for center, kind, first, number in lesions if number > first]
    score = {
        (center, number): derive_seed(seed, "further lesion", center, number) / 2**63 / TYPES[kind].several
        for center, number, kind in candidates
    }
    joined: set[tuple[int, int]] = set()
    for center, number in sorted(score, key=lambda key: score[key]):
        if len(joined) >= count:
            break
        if _count_run(joined, center, number) <= MOST_LESIONS_OF_A_PATIENT:
            joined.add((center, number))
    return joined


def _count_run(joined: set[tuple[int, int]], center: int, number: int) -> int:
    """Number of lesions of the patient if this lesion joins the one before it."""
    before, after = number - 1, number + 1
    while (center, before) in joined:
        before -= 1
    while (center, after) in joined:
        after += 1
    return after - before


def _iterate_runs(
    lesions: Sequence[tuple[int, str, int, int]], joined: set[tuple[int, int]]
) -> Iterator[tuple[tuple[int, str], tuple[int, ...]]]:
    members: list[int] = []
    owner: tuple[int, str] | None = None
    for center, kind, _, number in lesions:
        if owner and (center, number) not in joined:
            yield owner, tuple(members)
            members = []
        owner = (center, kind)
        members.append(number)
    if owner:
        yield owner, tuple(members)


def _draw_cohort_cases(persons: Sequence[Person], split: Split, seed: int) -> list[Case]:
    cohort = persons[0].slot.cohort
    traits = _fit_traits(persons, split.margins[cohort])
    lesions = [(person, number) for person in persons for number in person.slot.lesions]
    found = iter(select_tested(lesions, split.results[cohort], seed))
    cases: list[Case] = []
    for i, person in enumerate(persons):
        known = _draw_clinical(person, traits, i, seed)
        markers = compute_markers(person)
        for number, tenths in zip(person.slot.lesions, traits.size_tenths[i], strict=True):
            seen = _hide_untested(markers, next(found))
            cases.append(_build_case(person, number, {**known, "tumor_size": tenths / 10}, seen))
    return cases


def _fit_traits(persons: Sequence[Person], margins: Mapping[str, Mapping[str, int]]) -> _Traits:
    lesions: Ints = np.asarray([len(person.slot.lesions) for person in persons], dtype=np.int64)

    def who(trait: str, quota: int) -> Sequence[bool]:
        uniforms: Floats = np.asarray([person.uniform[trait] for person in persons])
        chances: Floats = np.asarray([person.chance(trait) for person in persons])
        flags: list[bool] = choose_by_quota(uniforms, chances, lesions, quota).tolist()
        return flags

    ages = np.asarray([person.age_raw for person in persons])
    sizes = np.asarray([size for person in persons for size in _compute_raw_sizes(person)])
    one = np.ones(len(sizes), dtype=np.int64)
    tenths = fit_to_bands(sizes, one, list(margins["tumor_size_cm"].values()), TUMOR_SIZE_CM).tolist()
    ends = np.cumsum(lesions).tolist()
    return _Traits(
        age=fit_to_bands(ages, lesions, list(margins["age_years"].values()), AGE_YEARS),
        male=who("male", margins["sex"]["male"]),
        hepatitis=who("hepatitis", margins["viral_hepatitis_history"]["yes"]),
        malignancy=who("malignancy", margins["malignancy_history"]["yes"]),
        size_tenths=[tuple(tenths[end - n : end]) for end, n in zip(ends, lesions.tolist(), strict=True)],
    )


def _compute_raw_sizes(person: Person) -> list[float]:
    """Diameters from the prior of the type, in mm."""
    median, spread = TYPES[person.slot.fll_type].size
    return [10 * median * spread**z for z in person.sizes_z]


def _draw_clinical(person: Person, traits: _Traits, i: int, seed: int) -> dict[str, float | None]:
    prior = TYPES[person.slot.fll_type]
    with_hepatitis, without = prior.cirrhosis
    cirrhosis = person.uniform["cirrhosis"] < (with_hepatitis if traits.hepatitis[i] else without)
    return {
        "age": float(traits.age[i]),
        "sex": float(traits.male[i]),
        "viral_hepatitis": float(traits.hepatitis[i]),
        "malignancy_history": float(traits.malignancy[i]),
        "cirrhosis": float(cirrhosis),
        "fatty_liver": float(person.uniform["fatty_liver"] < prior.fatty_liver),
        "diabetes": float(person.uniform["diabetes"] < prior.diabetes),
        **draw_labs(person, cirrhosis, seed),
    }


def _hide_untested(markers: Mapping[str, int], found: Sequence[bool]) -> dict[str, int | None]:
    return {name: markers[name] if seen else None for name, seen in zip(BIOMARKERS, found, strict=True)}


def _build_case(
    person: Person, number: int, clinical: Mapping[str, float | None], biomarkers: Mapping[str, int | None]
) -> Case:
    slot = person.slot
    machines = draw_devices()[slot.center]
    has_result = any(value is not None for value in biomarkers.values())
    confirmed = 1.0 if person.subtype in MALIGNANT_ENTITIES else TYPES[slot.fll_type].confirmed
    return Case(
        center=slot.center,
        cohort=slot.cohort,
        lesion_id=f"L{slot.center:02d}{number:04d}",
        patient_id=person.patient_id,
        exam_date=person.exam_date,
        fll_type=slot.fll_type,
        subtype=person.subtype,
        grade=_NORMAL.cdf(person.grade_z),
        clinical={name: clinical[name] for name in CLINICAL_NAMES},
        biomarkers=biomarkers,
        pathology_confirmed=has_result or person.uniform["confirmed"] < confirmed,
        manufacturer=machines[int(person.uniform["device"] * len(machines))],
        size_cm=float(clinical["tumor_size"] or 0.0),
    )
