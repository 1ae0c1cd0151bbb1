"""The cells of one row of a table, read one by one while every fault is kept: one bad cell never hides another."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path, PurePosixPath, PureWindowsPath

from ceus_models.runtime.errors import Fault
from client.data.table.dates import interpret_date
from client.data.table.site_files import SiteFiles
from client.data.table.spreadsheet.xlsx import EXCEL_ERRORS
from client.data.table.suggestions import Suggestion
from client.data.table.synonyms import WORDS
from client.faults.fault import HIDDEN, find_nearest, mask_characters, show_cell

BLANKS = frozenset({"", "-", "--", "na", "n/a", "nan", "none", "null"})
YES_NO = {"0": 0.0, "1": 1.0, "no": 0.0, "yes": 1.0}
TESTED = {"0": 0.0, "1": 1.0}
SEXES = {"male": 1.0, "female": 0.0, "m": 1.0, "f": 0.0}
SEPARATOR = ";"

_SEPARATORS = re.compile(r"([;；]\s*)")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)
_LIMIT = re.compile(r"[<>≤≥＜＞]=?\s*(\d+(?:\.\d+)?)", re.ASCII)
_WITH_UNIT = re.compile(r"(\d+(?:\.\d+)?)\s*[A-Za-zµμ%/^]{1,8}", re.ASCII)
_THOUSANDS = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?", re.ASCII)
_DECIMAL_COMMA = re.compile(r"\d+,\d+", re.ASCII)


@dataclass
class RowCells:
    """The cells of one row, with the faults found in them.

    Attributes:
        cells: Column → text, stripped.
        faults, suggestions: Added while the row is read.
    """

    file: str
    line: int
    cells: Mapping[str, str]
    faults: list[Fault] = field(default_factory=list)
    suggestions: list[Suggestion] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Tells Excel's errors once; their cells then count as blank."""
        self._spoilt = {column for column, text in self.cells.items() if text.upper() in EXCEL_ERRORS}
        rule = "a cell holds a value, not an error of Excel"
        for column in self._spoilt:
            value = self.cells[column].upper()
            remedy = "mend the formula, save the workbook in Excel, or leave the cell blank"
            self.faults.append(Fault(self.file, self.line, column, "excel-error", rule, value, remedy))

    def text(self, column: str) -> str:
        """A cell's text, "" for one that holds an error of Excel."""
        return "" if column in self._spoilt else self.cells.get(column, "")

    def add_fault(self, column: str, reason: str, rule: str, value: str, remedy: str) -> None:
        """Keeps a fault of this row. value: without identifiers."""
        if column not in self._spoilt:
            self.faults.append(Fault(self.file, self.line, column, reason, rule, value, remedy))

    def has_fault(self, *columns: str) -> bool:
        """Whether one of these cells has a fault."""
        return any(fault.column in columns for fault in self.faults)

    def add_suggestion(self, column: str, proposed: str | None, why: str) -> None:
        """Keeps a corrected cell; None is no suggestion."""
        if proposed is not None:
            self.suggestions.append(Suggestion(self.line, column, self.cells.get(column, ""), proposed, why))

    def is_blank(self, column: str) -> bool:
        """Whether a cell holds nothing, or one of the words for nothing."""
        return self.text(column).casefold() in BLANKS

    def parse_identifier(self, column: str) -> str | None:
        """A required id. Never shown in a fault."""
        if self.is_blank(column):
            self.add_fault(column, "missing-id", f"{column} is filled", "nothing", "write the hospital's own id")
            return None
        return self.text(column)

    def parse_day(self, column: str, order: str | None) -> date | None:
        """A required date. order: of day and month where the year comes last, see client.data.table.dates."""
        text = self.text(column)
        days = interpret_date(text, order)
        if len(days) == 1:
            return days[0]
        if days:
            rule = "a date can be read in one way only"
            remedy = "write it as 2022-03-07, or write dates: day-first or dates: month-first in site.yaml"
            self.add_fault(column, "ambiguous-date", rule, mask_characters(text), remedy)
            why = "the day may stand before the month, or behind it"
            self.add_suggestion(column, " or ".join(day.isoformat() for day in days), why)
            return None
        rule = "the date is a day of the calendar, safest as YYYY-MM-DD"
        remedy = "write it as 2022-03-07 (in Excel: format the column as yyyy-mm-dd before saving)"
        self.add_fault(column, "bad-date", rule, mask_characters(text), remedy)
        return None

    def parse_choice(self, column: str, allowed: tuple[str, ...], reason: str) -> str | None:
        """One of a closed list, or None for a blank or a fault."""
        text = self.text(column)
        if self.is_blank(column) or text in allowed:
            return text if text in allowed else None
        self._report_unlisted(column, allowed, reason)
        return None

    def parse_flag(self, column: str, meanings: Mapping[str, float]) -> float:
        """The number behind one of a few words, NaN for a blank or a fault."""
        text = self.text(column).casefold()
        signed = meanings is TESTED and text.startswith("-")  # a minus is a result there, not a blank
        if (signed or not self.is_blank(column)) and text not in meanings:
            self._report_unlisted(column, tuple(meanings), "bad-value")
        return meanings.get(text, math.nan)

    def parse_number(self, column: str, bounds: tuple[float, float] | None = None) -> float:
        """A number, NaN for a blank or a fault. bounds: lowest and highest allowed."""
        text = unicodedata.normalize("NFKC", self.text(column))
        if self.is_blank(column):
            return math.nan
        value = float(text) if _NUMBER.fullmatch(text) else math.nan
        if not math.isfinite(value):
            remedy = "write digits with a decimal point; for <0.8 write the limit 0.8; leave blank if unknown"
            self.add_fault(column, "bad-number", "the cell is one number or blank", mask_characters(text), remedy)
            self.add_suggestion(column, *interpret_number(text))
            return math.nan
        if bounds and not bounds[0] <= value <= bounds[1]:
            rule = f"the value is between {bounds[0]:g} and {bounds[1]:g}"
            self.add_fault(column, "bad-number", rule, f"{value:.3g}", "correct the value")
            return math.nan
        return value

    def parse_numbers(self, column: str) -> tuple[float, ...] | None:
        """Numbers joined by ";", None after a fault. A blank gives none."""
        parts = self.split_parts(column)
        if all(map(_NUMBER.fullmatch, parts)):
            return tuple(map(float, parts))
        rule = f'numbers joined by "{SEPARATOR}"'
        self.add_fault(column, "bad-number", rule, mask_characters(self.text(column)), "write for example 0;95.5")
        return None

    def split_parts(self, column: str) -> tuple[str, ...]:
        """The parts of a cell that are joined by ";", also in its full width."""
        texts = (part.strip() for part in self.text(column).replace("；", SEPARATOR).split(SEPARATOR))
        return tuple(text for text in texts if text)

    def parse_path(self, files: SiteFiles, column: str, text: str, reason: str, which: str) -> Path | None:
        """The file that a cell names, which must lie in the folder and exist.

        which: how a fault names it ("clip 2 of 3"), since a path may hold a patient's name.
        """
        posix = text.replace("\\", "/")
        if PurePosixPath(posix).is_absolute() or PureWindowsPath(text).drive or ".." in posix.split("/"):
            rule = "a path is relative to the site's folder and stays in it"
            self.add_fault(column, "path-outside-folder", rule, which, "copy the file into the folder, write its path")
            self._mend(column, text, files.find_path_end(posix), "the end of the path is a file of the folder")
            return None
        if files.has_folder(posix):
            remedy = "write the path of one file in it"
            self.add_fault(column, "folder-for-file", "a path names a file", f"{which} is a folder", remedy)
            self._mend(column, text, files.find_only_file(posix), "the only file in that folder")
            return None
        if not files.has_file(posix):
            remedy = "copy the file to that place, or correct the cell (small and capital letters differ)"
            self.add_fault(column, reason, "every file that the table names exists", f"no such file: {which}", remedy)
            self._mend(column, text, files.find_nearest(posix), "a file of nearly that name is there")
            return None
        return files.folder / posix

    def _mend(self, column: str, part: str, found: str | None, why: str) -> None:
        """Proposes a cell with one of its parts corrected, beside those that were corrected before; None is none."""
        if found is None:
            return
        before = [one for one in self.suggestions if one.column == column]
        cell = before[-1].proposed if before else self.text(column)
        self.suggestions = [one for one in self.suggestions if one.column != column]
        pieces = _SEPARATORS.split(cell)
        self.add_suggestion(column, "".join(found if piece.strip() == part else piece for piece in pieces), why)

    def _report_unlisted(self, column: str, allowed: tuple[str, ...], reason: str) -> None:
        text = self.text(column)
        meanings = {**{value: value for value in allowed}, **WORDS.get(column, {})}
        word = find_nearest(text, meanings)
        remedy = "write one of these, or leave the cell blank"
        if word:
            what = f'write "{meanings[word]}"' if meanings[word] else "leave the cell blank"
            remedy = f"{what} if that is meant, here or for the whole column under labels in site.yaml"
            self.add_suggestion(column, meanings[word], f'near "{word}"')
        self.add_fault(column, reason, f"one of {', '.join(allowed)}, or blank", show_cell(text, meanings), remedy)


def describe_id(which: str) -> str:
    """How a fault speaks of an id: never the id itself."""
    return f"{which} {HIDDEN}"


def interpret_number(text: str) -> tuple[str | None, str]:
    """The number that a text probably means, or None, and why. Only suggested, never taken."""
    if match := _LIMIT.fullmatch(text):
        return match[1], "a value beyond the laboratory's limit is written as the limit"
    if _THOUSANDS.fullmatch(text):
        return text.replace(",", ""), "the commas may part thousands"
    if _DECIMAL_COMMA.fullmatch(text):
        return text.replace(",", "."), "the comma may be a decimal point"
    if match := _WITH_UNIT.fullmatch(text):
        return match[1], "the unit belongs in the header"
    return None, ""
