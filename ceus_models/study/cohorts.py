"""Which cohort a lesion belongs to: a rule on the center, the exam's date and the patient, as in the study."""

from __future__ import annotations

import hashlib
from datetime import date

FIRST_DAY = date(2017, 1, 1)
PROSPECTIVE_FROM = date(2023, 1, 1)
LAST_DAY = date(2023, 12, 31)
VALIDATION_SHARE = 0.2
"""The study split training A and validation 4:1 at random; here the patient's hash decides, so that all lesions
of a patient fall on the same side and the site can tell without asking anybody."""

_SINGLE_CENTERS = {50: "internal_test", 51: "external_test_a", 52: "external_test_b"}


def split_fraction(patient: str) -> float:
    """A number in [0, 1) that depends on the patient's id alone."""
    return int(hashlib.sha256(f"fedceus-split:{patient}".encode()).hexdigest()[:8], 16) / 2**32


def cohort_of(center: int, exam_date: date, patient: str) -> str:
    """The cohort of a lesion.

    center: 1-52 · exam_date: day of the CEUS exam · patient: the hospital's own patient id (it stays there).
    Raises ValueError when the center or the date lies outside the study.
    """
    if not 1 <= center <= 52:
        raise ValueError(f"center {center} is not one of 1-52")
    if not FIRST_DAY <= exam_date <= LAST_DAY:
        raise ValueError(f"the study runs from {FIRST_DAY} to {LAST_DAY}")
    if exam_date >= PROSPECTIVE_FROM:
        return "external_test_c"
    if center in _SINGLE_CENTERS:
        return _SINGLE_CENTERS[center]
    if center >= 37:
        return "training_b"
    return "validation" if split_fraction(patient) < VALIDATION_SHARE else "training_a"
