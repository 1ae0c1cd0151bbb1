"""Corrected cells that a person may take over: proposed beside the table, which is never touched.

A suggestion holds what stands in the table, which can identify a patient. It is written to one file of the hospital's
own choice and goes nowhere else: no fault, no log and no page has it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from ceus_models.runtime.csv_cells import format_csv
from ceus_models.runtime.errors import ExpectedError

HEADER = ("row", "column", "present", "proposed", "why")


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A proposed correction of one cell.

    Attributes:
        row: Line of the table, 1 for the header.
        present, proposed: The present cell and the proposed one.
    """

    row: int
    column: str
    present: str = field(repr=False)
    proposed: str = field(repr=False)
    why: str


def write_suggestions(path: Path, suggestions: Iterable[Suggestion]) -> None:
    """A CSV for Excel that only its owner can read.

    Raises ExpectedError where the file is there and is no list of suggestions, or cannot be written.
    """
    text = format_csv([HEADER, *([s.row, s.column, s.present, s.proposed, s.why] for s in suggestions)])
    try:
        if path.exists() and not path.read_bytes().startswith(_beginning()):
            raise ExpectedError(
                "the file for suggestions is new or one of this command; found another kind of file; name a new file"
            )
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(text.encode("utf-8-sig"))
    except OSError as error:
        raise ExpectedError(f"the suggestions cannot be written ({error.strerror}); name a file in a folder") from None


def _beginning() -> bytes:
    return ",".join(HEADER).encode("utf-8-sig")
