"""What is wrong with a hospital's files: one frozen record a fault, many of them reported together.

A fault is copied into tickets and read aloud, so it never carries an identifier: ids, dates and file names
appear as row and column only, and other free text as its shape (see `shape_of`).
"""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass

from ceus_models.runtime.errors import ExpectedError

HIDDEN = "(not shown)"
"""Stands for a value that could identify a patient."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing to mend.

    file: name of our own file (`lesions.csv`, `site.yaml`), never of a clip · row: line in it, the header is
    line 1, None for the whole file · column: header of the column or key, "" where none · reason: stable slug
    that `index` counts by · rule: what must hold · value: what stands there, without identifiers · remedy:
    what to do.
    """

    file: str
    row: int | None
    column: str
    reason: str
    rule: str
    value: str
    remedy: str

    @property
    def place(self) -> str:
        """File, row and column as one phrase."""
        row = "" if self.row is None else f" row {self.row}"
        return f"{self.file}{row}" + (f", {self.column}" if self.column else "")

    def __str__(self) -> str:
        """The whole fault as one sentence."""
        found = f", found {self.value}" if self.value else ""
        return f"{self.place}: {self.rule}{found}; {self.remedy}"


class FaultList(ExpectedError):
    """Every fault of a file at once, so that it is not mended one a run."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        """faults: at least one, in the order in which a person would mend them."""
        self.faults = tuple(faults)
        count = f"{len(self.faults)} faults" if len(self.faults) != 1 else "1 fault"
        super().__init__("\n  ".join([f"{count}:", *map(str, self.faults)]))

    def __reduce__(self) -> tuple[type[FaultList], tuple[tuple[Fault, ...]]]:
        """Lets the error cross to another process."""
        return FaultList, (self.faults,)


class Unusable(ExpectedError):
    """A file that cannot be used. Its parts become a Fault; none of them names a file or a patient."""

    def __init__(self, reason: str, rule: str, value: str, remedy: str) -> None:
        """The parts of a Fault. reason: stable slug that `index` counts by."""
        super().__init__(f"{rule}, found {value}; {remedy}")
        self.reason = reason
        self.rule = rule
        self.value = value
        self.remedy = remedy

    def __reduce__(self) -> tuple[type[Unusable], tuple[str, str, str, str]]:
        """Keeps the parts on the way out of a worker process."""
        return type(self), (self.reason, self.rule, self.value, self.remedy)


def count_reasons(faults: Iterable[Fault]) -> Mapping[str, int]:
    """How many faults of each reason, the commonest first."""
    return dict(Counter(fault.reason for fault in faults).most_common())


def as_json(fault: Fault) -> dict[str, str | int | None]:
    """The fault as a JSON object."""
    return asdict(fault)


def shape_of(text: str) -> str:
    """The form of a text without its content: digits become 9, letters a, cut to 24 characters.

    "2021/3/7" → "9999/9/9", "Wang" → "aaaa": enough to see a wrong date format, nothing to know a patient by.
    """
    if not text:
        return "nothing"
    masked = re.sub(r"[^\W\d_]", "a", re.sub(r"\d", "9", text[:24]))
    return f'"{masked}"' + ("…" if len(text) > 24 else "")


def shown(text: str, allowed: Iterable[str]) -> str:
    """A cell of a column with a closed list of values: itself if it is one of them in other letters, else its shape.

    A shifted column can bring a name into any cell, hence only words of the list are shown: "Malek" is not "male".
    """
    by_folded = {value.casefold(): value for value in allowed}
    folded = text.casefold()
    if folded in by_folded:
        return f'"{text}"'
    near = nearest(text, by_folded.values())
    return f'{shape_of(text)}, near "{near}"' if near else shape_of(text)


def nearest(text: str, allowed: Iterable[str]) -> str | None:
    """The allowed value that the text probably means (case and one slip apart), or None."""
    by_folded = {value.casefold(): value for value in allowed}
    found = difflib.get_close_matches(text.casefold(), by_folded, n=1, cutoff=0.75)
    return by_folded[found[0]] if found else None
