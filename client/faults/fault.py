"""Faults of a hospital's files, described without identifiers.

Ids, dates and file names appear as row and column only, and other free text as its shape (see `mask_characters`).
"""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass

from ceus_models.runtime.errors import ExpectedError, Fault

HIDDEN = "(not shown)"
"""Stands for a value that could identify a patient."""


class Unusable(ExpectedError):
    """A file that cannot be used. Its parts become a Fault; none of them names a file or a patient."""

    def __init__(self, reason: str, rule: str, value: str, remedy: str) -> None:
        """Keep the parts of a Fault.

        >>> print(Unusable("bad-date", "a date is a day of the calendar", '"99/99"', "write it as 2022-03-07"))
        a date is a day of the calendar, found "99/99"; write it as 2022-03-07

        Args:
            reason: Stable slug of the catalogue; `index` counts by it.
            rule: What was expected.
            value: What was found.
            remedy: The fix.
        """
        super().__init__(f"{rule}, found {value}; {remedy}")
        self.reason = reason
        self.rule = rule
        self.value = value
        self.remedy = remedy

    def __reduce__(self) -> tuple[type[Unusable], tuple[str, str, str, str]]:
        """Keeps the parts on the way out of a worker process."""
        return type(self), (self.reason, self.rule, self.value, self.remedy)


@dataclass(frozen=True, slots=True)
class Doubt:
    """Why a clip that can be read may not be what it is taken for.

    Attributes:
        reason, rule, value, remedy: The parts of a Fault.
        withholds: Whether the lesion is left out until a person has written yes in clip_checked; else the doubt is
            only shown.
    """

    reason: str
    rule: str
    value: str
    remedy: str
    withholds: bool = True

    def __str__(self) -> str:
        """What was expected and what was found."""
        return f"{self.rule}, found {self.value}"


class DoubtedClip(Unusable):
    """A lesion whose clips a person must look at before it is used."""


def count_reasons(faults: Iterable[Fault]) -> Mapping[str, int]:
    """How many faults of each reason, the commonest first."""
    return dict(Counter(fault.reason for fault in faults).most_common())


def as_json(fault: Fault) -> dict[str, str | int | None]:
    """The fault as a JSON object."""
    return {name: value for name, value in asdict(fault).items() if name != "key"}


def mask_characters(text: str) -> str:
    """Mask a text: digits become 9, letters a, cut to 24 characters. Shows a wrong format, identifies nobody.

    >>> print(mask_characters("2021/3/7"), mask_characters("Wang"))
    "9999/9/9" "aaaa"
    """
    if not text:
        return "nothing"
    masked = re.sub(r"[^\W\d_]", "a", re.sub(r"\d", "9", text[:24]))
    return f'"{masked}"' + ("…" if len(text) > 24 else "")


def show_cell(text: str, allowed: Iterable[str]) -> str:
    """A cell of a column with a closed list of values: itself if it is one of them in other letters, else its shape.

    A shifted column can bring a name into any cell, hence only words of the list are shown: "Malek" is not "male".
    """
    by_folded = {value.casefold(): value for value in allowed}
    folded = text.casefold()
    if folded in by_folded:
        return f'"{text}"'
    near = find_nearest(text, by_folded.values())
    return f'{mask_characters(text)}, near "{near}"' if near else mask_characters(text)


def find_nearest(text: str, allowed: Iterable[str]) -> str | None:
    """The allowed value that is closest to the text (other case, one typing error), or None.

    >>> find_nearest("femle", ["male", "female"])
    'female'
    """
    by_folded = {value.casefold(): value for value in allowed}
    found = difflib.get_close_matches(text.casefold(), by_folded, n=1, cutoff=0.75)
    return by_folded[found[0]] if found else None
