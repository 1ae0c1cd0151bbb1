"""The cohort of a lesion, from its center, exam date and patient, as in the study."""

from __future__ import annotations

import hashlib
from datetime import date

FIRST_DAY = date(2017, 1, 1)
PROSPECTIVE_FROM = date(2023, 1, 1)
LAST_DAY = date(2023, 12, 31)
VALIDATION_SHARE = 0.2
"""The study split training A and validation 4:1 at random; here a hash of the patient's id decides, so that all lesions
of a patient are in one cohort and the site needs no information from others."""

_SINGLE_CENTERS = {50: "internal_test", 51: "external_test_a", 52: "external_test_b"}

CENTERS = range(1, 53)


def can_hold(center: int, cohort: str) -> bool:
    """Whether a center can have lesions of a cohort.

    >>> [cohort for cohort in ("validation", "training_b", "external_test_c") if can_hold(40, cohort)]
    ['training_b', 'external_test_c']
    """
    if cohort == "external_test_c":
        return True
    if center in _SINGLE_CENTERS:
        return _SINGLE_CENTERS[center] == cohort
    return cohort == "training_b" if center >= 37 else cohort in ("training_a", "validation")


def is_of_one_center(cohort: str) -> bool:
    """Whether only one center can have lesions of a cohort, so that a sum over sites is that center's own.

    >>> is_of_one_center("internal_test"), is_of_one_center("external_test_c")
    (True, False)
    """
    return sum(can_hold(center, cohort) for center in CENTERS) == 1


def compute_split_fraction(patient: str) -> float:
    """A number in [0, 1) that depends on the patient's id alone.

    >>> round(compute_split_fraction("0042"), 3)
    0.54
    """
    return int(hashlib.sha256(f"fedceus-split:{patient}".encode()).hexdigest()[:8], 16) / 2**32


def assign_cohort(center: int, exam_date: date, patient: str) -> str:
    """The cohort of a lesion.

    Args:
        center: 1-52.
        exam_date: day of the CEUS exam.
        patient: the hospital's own patient id, which stays there.

    Raises:
        ValueError: the center or the date is outside the study.

    >>> assign_cohort(50, date(2020, 5, 17), "0042"), assign_cohort(50, date(2023, 5, 17), "0042")
    ('internal_test', 'external_test_c')
    """
    if not 1 <= center <= 52:
        raise ValueError(f"expected a center from 1 to 52, found {center}")
    if not FIRST_DAY <= exam_date <= LAST_DAY:
        raise ValueError(f"expected an exam date from {FIRST_DAY} to {LAST_DAY}, found another one")
    if exam_date >= PROSPECTIVE_FROM:
        return "external_test_c"
    if center in _SINGLE_CENTERS:
        return _SINGLE_CENTERS[center]
    if center >= 37:
        return "training_b"
    return "validation" if compute_split_fraction(patient) < VALIDATION_SHARE else "training_a"
