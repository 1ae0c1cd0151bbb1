"""What became of the lesions in the hospitals' tables before a cohort was declared; only a simulation knows it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ceus_models.study.inclusion import Inclusion, describe_exclusion
from server.report.values import Results, section, whole


@dataclass(frozen=True)
class Intake:
    """Lesions of a cohort.

    Args:
        listed: in the tables.
        look: that a person must look at before they are used.
        excluded, unreadable: by reason in words.
    """

    listed: int | None
    look: int
    excluded: Mapping[str, int]
    unreadable: Mapping[str, int]


def read_intake(results: Results, cohort: str) -> Intake | None:
    """Of a cohort, "" for lesions that do not tell theirs; None where it is not known."""
    found = section(results, "intake", cohort)
    if not found:
        return None
    rules = read_rules(results)
    excluded, unreadable = (
        {reason: whole(n) or 0 for reason, n in section(found, name).items()} for name in ("excluded", "skipped")
    )
    in_words = {describe_exclusion(reason, rules): n for reason, n in excluded.items()}
    return Intake(whole(found.get("listed")), whole(found.get("look")) or 0, in_words, unreadable)


def read_rules(results: Results) -> Inclusion:
    """The rules of inclusion of the plan; the study's own where it states none."""
    stated = section(results, "terms", "processing", "inclusion")
    return Inclusion(**{name: value for name, value in stated.items() if value is not None})
