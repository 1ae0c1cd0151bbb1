"""What goes wrong and is expected: one sentence for a person, exit code 1. Anything else that escapes is a bug."""

from __future__ import annotations

import traceback
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


class ExpectedError(Exception):
    """A failure that its reader can mend: the text says what was expected, what was found, and the fix."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing to mend in a file that a person wrote. It is copied into tickets, so no part of it names a patient.

    file: its name · row: line in it, the header of a table is line 1, None for the whole file · column: header of the
    column, or the key as it is written, "" where none · reason: stable slug by which faults are counted · rule: what
    was expected · value: what was found, without identifiers · remedy: the fix · key: path of keys, in a document.
    """

    file: str
    row: int | None
    column: str
    reason: str
    rule: str
    value: str = ""
    remedy: str = ""
    key: tuple[str | int, ...] = ()

    @property
    def place(self) -> str:
        """File, row and column as one phrase."""
        word = "line" if self.file.endswith((".yaml", ".yml")) else "row"
        row = "" if self.row is None else f" {word} {self.row}"
        return f"{self.file}{row}" + (f", {self.column}" if self.column else "")

    def __str__(self) -> str:
        """The whole fault as one sentence."""
        found = f", found {self.value}" if self.value else ""
        return f"{self.place}: {self.rule}{found}" + (f"; {self.remedy}" if self.remedy else "")


class FaultList(ExpectedError):
    """Every fault of a file at once, so that it is not mended one a run."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        """faults: at least one, in the order in which a person would mend them."""
        self.faults = tuple(faults)
        count = f"{len(self.faults)} faults" if len(self.faults) != 1 else "1 fault"
        super().__init__("\n  ".join([f"{count}:", *map(str, self.faults)]))

    def __reduce__(self) -> tuple[type[FaultList], tuple[tuple[Fault, ...]]]:
        """Lets the error cross to another process."""
        return FaultList, (self.faults,)


def stack_of(error: BaseException) -> list[str]:
    """Where an error happened, from the outermost call to the innermost: `net.py:12 in forward`.

    Its text stays out, since it may quote a file or name a patient.
    """
    frames = traceback.extract_tb(error.__traceback__)
    return [f"{Path(frame.filename).name}:{frame.lineno} in {frame.name}" for frame in frames]
