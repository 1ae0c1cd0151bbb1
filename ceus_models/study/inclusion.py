"""Which lesions a study takes: age, size, what is recorded, and what the type is known from."""

from __future__ import annotations

from dataclasses import dataclass as plain_dataclass
from typing import Annotated

from annotated_types import Ge
from pydantic import ConfigDict
from pydantic.dataclasses import dataclass

from ceus_models.study.taxonomy import MALIGNANT_TYPES


@dataclass(frozen=True, config=ConfigDict(extra="forbid", allow_inf_nan=False))
class Inclusion:
    """The rules of a study, as in Ding et al., J Hepatol 2025;83:426. A blank cell excludes no lesion.

    Args:
        youngest: years.
        larger_than_cm: the largest diameter of a lesion is above it.
        least_recorded: of the variables that the study selected, so many are recorded.
        reference_standard: whether pathology confirms a malignant lesion, and pathology or follow-up any other.
    """

    youngest: Annotated[int, Ge(0)] = 18
    larger_than_cm: Annotated[float, Ge(0)] = 1.0
    least_recorded: Annotated[int, Ge(0)] = 1
    reference_standard: bool = True


@plain_dataclass(frozen=True)
class Facts:
    """What the rules look at, None where it is not recorded.

    Args:
        label: lesion type.
        years: of the patient.
        cm: largest diameter.
        recorded: of the variables that the study selected.
        pathology: whether it confirms the type.
        followed_up: whether clinical follow-up does.
    """

    label: str | None
    years: float | None
    cm: float | None
    recorded: int
    pathology: bool | None
    followed_up: bool | None


STUDY_RULES = Inclusion()
"""Those of the reference study."""
EXCLUSIONS = ("too-young", "too-small", "no-clinical-data", "no-pathology", "no-follow-up")
"""Reasons in the order in which the rules are asked: a lesion counts under the first."""


def describe_inclusion(rules: Inclusion) -> str:
    """Which lesions a study takes, in words."""
    known = "confirmed by pathology where malignant and by pathology or follow-up else"
    standard = known if rules.reference_standard else "confirmed in any way"
    return (
        f"above {rules.larger_than_cm:g} cm, of patients of at least {rules.youngest} years, with at least "
        f"{rules.least_recorded} clinical variables recorded, {standard}; a blank cell excludes no lesion"
    )


def describe_exclusion(reason: str, rules: Inclusion) -> str:
    """Why a study does not take a lesion, in words; what is no reason of EXCLUSIONS stays as it is.

    >>> describe_exclusion("too-small", Inclusion())
    '1 cm or smaller'
    """
    least = rules.least_recorded
    words = {
        "too-young": f"patient younger than {rules.youngest} years",
        "too-small": f"{rules.larger_than_cm:g} cm or smaller",
        "no-clinical-data": "no clinical variable recorded"
        if least == 1
        else f"fewer than {least} clinical variables recorded",
        "no-pathology": "malignant without pathology",
        "no-follow-up": "benign or other type without pathology or follow-up",
    }
    return words.get(reason, reason)


def find_exclusion(facts: Facts, rules: Inclusion) -> str:
    """The reason of EXCLUSIONS why a study does not take a lesion, "" where it does.

    >>> find_exclusion(Facts("HCC", 61, 1.0, 17, True, None), Inclusion())
    'too-small'
    """
    if facts.years is not None and facts.years < rules.youngest:
        return "too-young"
    if facts.cm is not None and facts.cm <= rules.larger_than_cm:
        return "too-small"
    if facts.recorded < rules.least_recorded:
        return "no-clinical-data"
    if not rules.reference_standard or facts.label is None or facts.pathology:
        return ""
    if facts.label in MALIGNANT_TYPES:
        return "no-pathology" if facts.pathology is False else ""
    return "no-follow-up" if facts.followed_up is False else ""
