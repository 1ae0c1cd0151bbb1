"""Expected errors: one sentence for a person, exit code 1. Any other exception is a bug."""

from __future__ import annotations

import errno
import traceback
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


class ExpectedError(Exception):
    """A failure that its reader can fix: the text says what was expected, what was found, and the fix."""


class DiskFullError(ExpectedError):
    """A file could not be written for want of room; with more of it the same work succeeds."""


def is_disk_full(error: Exception) -> bool:
    """Whether a disk or a quota was full.

    >>> is_disk_full(OSError(errno.ENOSPC, "No space left on device")), is_disk_full(OSError(errno.EACCES, "denied"))
    (True, False)
    """
    codes = (errno.ENOSPC, errno.EDQUOT)
    return getattr(error, "errno", None) in codes or any(f"(os error {code})" in str(error) for code in codes)


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault of a file that a person wrote. It is copied into tickets, so it has no identifiers.

    Args:
        file: its name.
        row: line in it (the header of a table is line 1), None for the whole file.
        column: header of the column, or the key as it is written, "" without one.
        reason: stable slug by which faults are counted.
        rule: what was expected.
        value: what was found, without identifiers.
        remedy: the fix.
        key: path of keys in a document.
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
        where = self.file
        if self.row is not None:
            is_yaml = self.file.endswith((".yaml", ".yml"))
            where = f"{self.file} line {self.row}" if is_yaml else f"{self.file} row {self.row}"
        return f"{where}, {self.column}" if self.column else where

    def __str__(self) -> str:
        """The whole fault as one sentence."""
        found = f", found {self.value}" if self.value else ""
        return f"{self.place}: {self.rule}{found}" + (f"; {self.remedy}" if self.remedy else "")


class FaultList(ExpectedError):
    """All faults of a file at once."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        """Keep the faults, at least one, in the order in which a person would fix them."""
        self.faults = tuple(faults)
        count = f"{len(self.faults)} faults" if len(self.faults) != 1 else "1 fault"
        super().__init__("\n  ".join([f"{count}:", *map(str, self.faults)]))

    def __reduce__(self) -> tuple[type[FaultList], tuple[tuple[Fault, ...]]]:
        """Make the error picklable."""
        return FaultList, (self.faults,)


def list_calls(error: BaseException) -> list[str]:
    """The calls of an error's traceback, the outermost first: `net.py:12 in forward`.

    The error's text is left out, as it may quote a file or a patient.
    """
    frames = traceback.extract_tb(error.__traceback__)
    return [f"{Path(frame.filename).name}:{frame.lineno} in {frame.name}" for frame in frames]
