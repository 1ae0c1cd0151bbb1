"""One reason of the fault catalogue."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Reason:
    """One entry of the fault catalogue.

    Attributes:
        slug: Its name in a fault, in the counts of `index` and in --json.
        meaning: What is wrong.
        remedy: What to do.
    """

    slug: str
    meaning: str
    remedy: str
