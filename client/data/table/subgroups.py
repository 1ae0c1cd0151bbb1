"""The subgroups that results are reported by (study.yaml: statistics.subgroups), as short names."""

from __future__ import annotations

import math
from collections.abc import Mapping

from ceus_models.study.subgroups import UNKNOWN


def groups_of(clinical: Mapping[str, float], manufacturer: str, pathology_confirmed: float) -> dict[str, str]:
    """The group of one lesion in each variable of `subgroups.SUBGROUPS` but the last.

    Etiology is viral hepatitis, yes or no.

    Args:
        clinical: Variable name → value in the taxonomy's own unit (not transformed), NaN = not recorded.
        manufacturer: The normalised name.
        pathology_confirmed: 0, 1 or NaN.
    """
    return {
        "sex": _named(clinical["sex"], "female", "male"),
        "age": age_band(clinical["age"]),
        "tumor_size": size_band(clinical["tumor_size"]),
        "etiology": _named(clinical["viral_hepatitis"]),
        "cirrhosis": _named(clinical["cirrhosis"]),
        "fatty_liver": _named(clinical["fatty_liver"]),
        "manufacturer": manufacturer,
        "pathology_confirmed": _named(pathology_confirmed),
    }


def age_band(years: float) -> str:
    """The age group of the study; 50 and 60 belong to the middle one.

    >>> age_band(49.9), age_band(60)
    ('<50', '50-60')
    """
    if math.isnan(years):
        return UNKNOWN
    if years < 50:
        return "<50"
    return "50-60" if years <= 60 else ">60"


def size_band(cm: float) -> str:
    """The size group of the study; 3 and 5 belong to the larger one, 10 to the smaller.

    >>> size_band(3), size_band(10)
    ('3-5', '5-10')
    """
    if math.isnan(cm):
        return UNKNOWN
    if cm < 3:
        return "<3"
    if cm < 5:
        return "3-5"
    return "5-10" if cm <= 10 else ">10"


def _named(flag: float, no: str = "no", yes: str = "yes") -> str:
    if math.isnan(flag):
        return UNKNOWN
    return yes if flag else no
