"""Lesions of a hospital's table that the study's rules do not take: one fact of each breaks one rule."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import cycle, islice

from ceus_models.study.inclusion import EXCLUSIONS
from ceus_models.study.taxonomy import CLINICAL_NAMES, MALIGNANT_TYPES
from sim.patients.patients import Case


def draw_excluded(cases: Sequence[Case], count: int) -> list[Case]:
    """Make `count` lesions of patients of their own from the first cases of a center, one reason after the other.

    The center's number says with which reason it begins, so that all occur among a few hospitals.
    """
    if not cases or not count:
        return []
    reasons = islice(cycle(EXCLUSIONS), cases[0].center % len(EXCLUSIONS), None)
    return [_break_rule(cases, number, reason) for number, reason in zip(range(count), reasons, strict=False)]


def _break_rule(cases: Sequence[Case], number: int, reason: str) -> Case:
    malignant = [case for case in cases if case.fll_type in MALIGNANT_TYPES]
    benign = [case for case in cases if case.fll_type in ("HH", "HA")]
    kin = {"no-pathology": malignant, "no-follow-up": benign}.get(reason) or list(cases)
    model = kin[number % len(kin)]
    case = replace(
        model,
        biomarkers=dict.fromkeys(model.biomarkers),
        lesion_id=f"X{model.center:02d}{number:04d}",
        patient_id=f"99{model.center:02d}{number:04d}",
    )
    if reason == "too-young":
        return replace(case, clinical={**case.clinical, "age": 16.0})
    if reason == "too-small":
        return replace(case, size_cm=0.9, clinical={**case.clinical, "tumor_size": 0.9})
    if reason == "no-clinical-data":
        return replace(case, clinical=dict.fromkeys(CLINICAL_NAMES))
    return replace(case, pathology_confirmed=False, followed_up=False)
