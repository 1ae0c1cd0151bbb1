"""XLSX as a table: values as Excel keeps them, formulas by the value that Excel last computed."""

from __future__ import annotations

import io
import re
import warnings
import zipfile
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from typing import Any

import openpyxl

SUFFIXES = (".xlsx", ".xlsm")
UNCOMPUTED = "#UNCOMPUTED"
"""Stands for a formula whose value the file does not hold."""
EXCEL_ERRORS = frozenset(
    {
        "#N/A",
        "#REF!",
        "#VALUE!",
        "#DIV/0!",
        "#NAME?",
        "#NULL!",
        "#NUM!",
        "#GETTING_DATA",
        "#SPILL!",
        "#CALC!",
        UNCOMPUTED,
    }
)
SHEET = "lesions"
"""The sheet to take where a workbook has several."""
MAX_UNPACKED = 64 * 2**20
MAX_COLUMNS = 256
_ROW = re.compile(rb"<(?:\w+:)?row\b[^>]*?\br=\"(\d{1,9})\"")


class WorkbookError(Exception):
    """A workbook that cannot be read. rule, value: as in a Fault."""

    def __init__(self, rule: str, value: str) -> None:
        """Keep the expected rule and the value found.

        Args:
            rule: What must hold.
            value: What was found.
        """
        super().__init__(rule)
        self.rule = rule
        self.value = value


def read_workbook(content: bytes, max_records: int) -> list[tuple[int, list[str]]]:
    """Records of the one sheet that has any, or of the one called "lesions", with their rows. Raises WorkbookError."""
    formulas = _checked(content, max_records)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # openpyxl warns of styles that it passes over
            return _records(content, formulas, max_records)
    except WorkbookError:
        raise
    except Exception as error:  # openpyxl raises a dozen types for damaged files; none of its text may pass
        raise WorkbookError("the table is a complete XLSX file", f"a damaged one ({type(error).__name__})") from None


def _checked(content: bytes, max_records: int) -> bool:
    """Whether the workbook holds formulas. Refuses what is no ZIP, one that would unfold to gigabytes, and rows beyond
    the limit, which openpyxl would reach through all the empty ones before them.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as file:
            parts = file.infolist()
            if sum(part.file_size for part in parts) > MAX_UNPACKED:
                raise WorkbookError(f"an XLSX table has at most {MAX_UNPACKED // 2**20} MiB unpacked", "more")
            sheets = [file.read(part) for part in parts if part.filename.startswith("xl/worksheets/")]
    except WorkbookError:
        raise
    except (zipfile.BadZipFile, OSError, NotImplementedError, RuntimeError, EOFError, ValueError):
        raise WorkbookError("the table is an XLSX file", "something else") from None
    except Exception as error:  # zlib and struct tell of damage under names of their own
        raise WorkbookError("the table is a complete XLSX file", f"a damaged one ({type(error).__name__})") from None
    if any(int(number) > max_records for sheet in sheets for number in _ROW.findall(sheet)):
        raise WorkbookError(f"the table has at most {max_records} rows, empty ones included", "more")
    return any(b"<f" in sheet for sheet in sheets)


def _records(content: bytes, formulas: bool, max_records: int) -> list[tuple[int, list[str]]]:
    rows = dict(_lines(content, True, max_records))
    if formulas:
        written = _lines(content, False, max_records)
        rows = {line: _uncomputed(rows.get(line, []), cells) for line, cells in written}
    texts = [(line, [_text(cell) for cell in cells]) for line, cells in rows.items()]
    return [(line, cells) for line, cells in texts if any(cell.strip() for cell in cells)]


def _lines(content: bytes, computed: bool, max_records: int) -> Iterator[tuple[int, list[Any]]]:
    """Rows with anything in them, with their numbers. computed: values instead of formulas."""
    book = openpyxl.load_workbook(io.BytesIO(content), read_only=True, data_only=computed, keep_links=False)
    try:
        found = [sheet for sheet in (list(_rows(book[name], max_records)) for name in book.sheetnames) if sheet]
        named = [name for name in book.sheetnames if name.strip().casefold() == SHEET]
        if len(found) > 1 and len(named) != 1:
            raise WorkbookError(f'one sheet of the workbook is filled, or one is called "{SHEET}"', f"{len(found)}")
        yield from _rows(book[named[0]], max_records) if len(found) > 1 else found[0] if found else ()
    finally:
        book.close()


def _rows(sheet: Any, max_records: int) -> Iterator[tuple[int, list[Any]]]:
    rows = sheet.iter_rows(max_row=max_records + 1, max_col=MAX_COLUMNS, values_only=True)
    for number, cells in enumerate(rows, start=1):
        filled = [place for place, cell in enumerate(cells) if cell is not None]
        if filled:
            yield number, list(cells[: filled[-1] + 1])


def _uncomputed(values: list[Any], written: list[Any]) -> list[Any]:
    """Formulas without a value become the mark for it: as blanks they would pass for "not recorded"."""
    values = [*values, *[None] * (len(written) - len(values))]
    known = [*written, *[None] * (len(values) - len(written))]
    return [
        UNCOMPUTED if value is None and cell is not None else value for value, cell in zip(values, known, strict=True)
    ]


def _text(value: Any) -> str:
    """A cell as it would stand in CSV; a whole number has no decimal point, a date is ISO."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, float):
        return f"{value:.15g}"
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    return str(value.total_seconds()) if isinstance(value, timedelta) else str(value)
