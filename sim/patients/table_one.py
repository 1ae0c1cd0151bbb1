"""Table 1 of a simulated study, with the rows of the published one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ceus_models.study.taxonomy import BIOMARKERS, COHORTS, LESION_TYPES
from sim.patients.patients import Case
from sim.patients.study_table import AGE_YEARS, TUMOR_SIZE_CM, Bands

_YES_NO = ("no", "yes")


def count_table_one(cases: Sequence[Case], scale: str) -> dict[str, Any]:
    """Count the cases, for `ceus-sim centers --json`.

    Keys: scale · cohorts (per cohort lesions, patients, fll_type, biomarkers and the other rows of Table 1, all
    in lesions) · totals · centers (per center, lesions of each cohort that it has).
    """
    by_cohort = {cohort: [case for case in cases if case.cohort == cohort] for cohort in COHORTS}
    per_center = Counter((case.center, case.cohort) for case in cases)
    return {
        "scale": scale,
        "cohorts": {cohort: _count_cohort(members) for cohort, members in by_cohort.items()},
        "totals": {
            "lesions": len(cases),
            "patients": _count_patients(cases),
            "centers": len({case.center for case in cases}),
            "manufacturers": len({case.manufacturer for case in cases}),
        },
        "centers": {
            str(center): {cohort: per_center[center, cohort] for cohort in COHORTS if per_center[center, cohort]}
            for center in sorted({case.center for case in cases})
        },
    }


def _count_cohort(cases: Sequence[Case]) -> dict[str, Any]:
    return {
        "lesions": len(cases),
        "patients": _count_patients(cases),
        "fll_type": _count_values(LESION_TYPES, (case.fll_type for case in cases)),
        "biomarkers": _count_biomarkers(cases),
        "age_years": _count_bands(cases, "age", AGE_YEARS),
        "sex": _count_flags(cases, "sex", ("female", "male"), ("male", "female")),
        "viral_hepatitis_history": _count_flags(cases, "viral_hepatitis", _YES_NO, _YES_NO),
        "malignancy_history": _count_flags(cases, "malignancy_history", _YES_NO, _YES_NO),
        "tumor_size_cm": _count_bands(cases, "tumor_size", TUMOR_SIZE_CM),
    }


def _count_patients(cases: Iterable[Case]) -> int:
    return len({(case.center, case.patient_id) for case in cases})


def _count_biomarkers(cases: Sequence[Case]) -> dict[str, int]:
    with_any = sum(any(value is not None for value in case.biomarkers.values()) for case in cases)
    return {"any": with_any} | {name: sum(case.biomarkers[name] is not None for case in cases) for name in BIOMARKERS}


def _list_known(cases: Sequence[Case], variable: str) -> list[float]:
    return [value for case in cases if (value := case.clinical[variable]) is not None]


def _count_bands(cases: Sequence[Case], variable: str, bands: Bands) -> dict[str, int]:
    return _count_values(bands.names, (bands.find_band(value) for value in _list_known(cases, variable)))


def _count_flags(
    cases: Sequence[Case], variable: str, names: tuple[str, str], order: tuple[str, str]
) -> dict[str, int]:
    return _count_values(order, (names[int(value)] for value in _list_known(cases, variable)))


def _count_values(keys: Iterable[str], values: Iterable[str]) -> dict[str, int]:
    counted: Mapping[str, int] = Counter(values)
    return {key: counted[key] for key in keys}
