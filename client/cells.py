"""The cells of one row of a table, read one by one while every fault is kept: one bad cell never hides another."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path, PurePosixPath, PureWindowsPath

from client.faults import HIDDEN, Fault, nearest, shape_of, shown

BLANKS = frozenset({"", "-", "--", "na", "n/a", "nan", "none", "null"})
YES_NO = {"0": 0.0, "1": 1.0, "no": 0.0, "yes": 1.0}
TESTED = {"0": 0.0, "1": 1.0}
SEXES = {"male": 1.0, "female": 0.0, "m": 1.0, "f": 0.0}
SEPARATOR = ";"

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)


@dataclass
class RowCells:
    """cells: column → text, stripped · faults: grows while the row is read."""

    file: str
    line: int
    cells: Mapping[str, str]
    faults: list[Fault] = field(default_factory=list)

    def blame(self, column: str, reason: str, rule: str, value: str, remedy: str) -> None:
        """Keeps a fault of this row. value: without identifiers."""
        self.faults.append(Fault(self.file, self.line, column, reason, rule, value, remedy))

    def blank(self, column: str) -> bool:
        """Whether a cell holds nothing, or one of the words for nothing."""
        return self.cells.get(column, "").casefold() in BLANKS

    def identifier(self, column: str) -> str | None:
        """A required id. Never shown in a fault."""
        if self.blank(column):
            self.blame(column, "missing-id", f"{column} is filled", "nothing", "write the hospital's own id")
            return None
        return self.cells[column]

    def day(self, column: str) -> date | None:
        """A required date."""
        text = self.cells.get(column, "")
        try:
            if _DATE.fullmatch(text):
                return date.fromisoformat(text)
        except ValueError:
            pass
        self.blame(
            column,
            "bad-date",
            "the date is a day of the calendar written YYYY-MM-DD",
            shape_of(text),
            "write it as 2022-03-07 (in Excel: format the column as yyyy-mm-dd before saving)",
        )
        return None

    def choice(
        self, column: str, allowed: tuple[str, ...], reason: str, meanings: Mapping[str, str] | None = None
    ) -> str | None:
        """One of a closed list, or None for a blank or a fault.

        meanings: other words that are met → the allowed one to suggest for them.
        """
        text = self.cells.get(column, "")
        if self.blank(column) or text in allowed:
            return text if text in allowed else None
        self._unlisted(column, {**{value: value for value in allowed}, **(meanings or {})}, reason)
        return None

    def flag(self, column: str, meanings: Mapping[str, float]) -> float:
        """The number behind one of a few words, NaN for a blank or a fault."""
        text = self.cells.get(column, "").casefold()
        if not self.blank(column) and text not in meanings:
            self._unlisted(column, {word: word for word in meanings}, "bad-value")
        return meanings.get(text, math.nan)

    def number(self, column: str, bounds: tuple[float, float] | None = None) -> float:
        """A number, NaN for a blank or a fault. bounds: lowest and highest allowed."""
        text = self.cells.get(column, "")
        if self.blank(column):
            return math.nan
        value = float(text) if _NUMBER.fullmatch(text) else math.nan
        if not math.isfinite(value):
            remedy = "write digits with a decimal point; for <0.8 write the limit 0.8; leave blank if unknown"
            self.blame(column, "bad-number", "the cell is one number or blank", shape_of(text), remedy)
            return math.nan
        if bounds and not bounds[0] <= value <= bounds[1]:
            rule = f"the value is between {bounds[0]:g} and {bounds[1]:g}"
            self.blame(column, "bad-number", rule, f"{value:.3g}", "correct the value")
            return math.nan
        return value

    def numbers(self, column: str) -> tuple[float, ...] | None:
        """Numbers joined by ";", None after a fault. A blank gives none."""
        parts = self.parts(column)
        if all(map(_NUMBER.fullmatch, parts)):
            return tuple(map(float, parts))
        rule = f'numbers joined by "{SEPARATOR}"'
        self.blame(column, "bad-number", rule, shape_of(self.cells[column]), "write for example 0;95.5")
        return None

    def parts(self, column: str) -> tuple[str, ...]:
        """The parts of a cell that are joined by ";"."""
        texts = (part.strip() for part in self.cells.get(column, "").split(SEPARATOR))
        return tuple(text for text in texts if text)

    def file_below(self, folder: Path, column: str, text: str, reason: str, which: str) -> Path | None:
        """The file that a cell names, which must lie in the folder and exist.

        which: how a fault names it ("clip 2 of 3"), since a path may hold a patient's name.
        """
        posix = text.replace("\\", "/")
        if PurePosixPath(posix).is_absolute() or PureWindowsPath(text).drive or ".." in posix.split("/"):
            rule = "a path is relative to the site's folder and stays in it"
            self.blame(column, "path-outside-folder", rule, which, "copy the file into the folder, write its path")
            return None
        path = folder / posix
        if not _is_file(path):
            remedy = "copy the file to that place, or correct the cell (small and capital letters differ)"
            self.blame(column, reason, "every file that the table names exists", f"no such file: {which}", remedy)
            return None
        return path

    def _unlisted(self, column: str, meanings: Mapping[str, str], reason: str) -> None:
        text = self.cells.get(column, "")
        word = nearest(text, meanings)
        remedy = f'write "{meanings[word]}" if that is meant' if word else "write one of these, or leave the cell blank"
        allowed = dict.fromkeys(meanings.values())
        self.blame(column, reason, f"one of {', '.join(allowed)}, or blank", shown(text, meanings), remedy)


def hidden(which: str) -> str:
    """How a fault speaks of an id: never the id itself."""
    return f"{which} {HIDDEN}"


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False
