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

from client.data.table.spreadsheet.merged_cells import fill_merged_cells, find_merged_cells

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
MAX_CELLS = 750_000
"""Cells and texts together. openpyxl takes some 10 µs for each, also for a shared text that no cell shows."""
_TAGS_A_CELL = 4
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
    """Records of the one sheet that has any, or of the one called "lesions", with their rows. Raises WorkbookError.

    Merged cells all have the value that Excel shows over them.
    """
    sheets = _check_archive(content, max_records)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # openpyxl warns of styles that it passes over
            return _read_records(content, sheets, max_records)
    except WorkbookError:
        raise
    except Exception as error:  # openpyxl raises a dozen types for damaged files; none of its text may pass
        raise WorkbookError("the table is a complete XLSX file", f"a damaged one ({type(error).__name__})") from None


def _check_archive(content: bytes, max_records: int) -> dict[str, bytes]:
    """The XML of the sheets by the names of their parts. Refuses what is no ZIP, one that would unfold to gigabytes or
    to millions of cells, and rows beyond the limit, which openpyxl would reach through all the empty ones before them.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as file:
            parts = file.infolist()
            if sum(part.file_size for part in parts) > MAX_UNPACKED:
                raise WorkbookError(f"an XLSX table has at most {MAX_UNPACKED // 2**20} MiB unpacked", "more")
            if sum(file.read(part).count(b"<") for part in parts) > MAX_CELLS * _TAGS_A_CELL:
                raise WorkbookError(f"an XLSX table has at most {MAX_CELLS} cells and texts", "more")
            sheets = {part.filename: file.read(part) for part in parts if part.filename.startswith("xl/worksheets/")}
    except WorkbookError:
        raise
    except (zipfile.BadZipFile, OSError, NotImplementedError, RuntimeError, EOFError, ValueError):
        raise WorkbookError("the table is an XLSX file", "something else") from None
    except Exception as error:  # zlib and struct tell of damage under names of their own
        raise WorkbookError("the table is a complete XLSX file", f"a damaged one ({type(error).__name__})") from None
    if any(int(number) > max_records for sheet in sheets.values() for number in _ROW.findall(sheet)):
        raise WorkbookError(f"the table has at most {max_records} rows, empty ones included", "more")
    return sheets


def _read_records(content: bytes, sheets: dict[str, bytes], max_records: int) -> list[tuple[int, list[str]]]:
    part, rows = _read_sheet(content, True, max_records)
    if any(b"<f" in sheet for sheet in sheets.values()):
        _, written = _read_sheet(content, False, max_records)
        rows = {line: _mark_uncomputed(rows.get(line, []), cells) for line, cells in written.items()}
    ranges = find_merged_cells(sheets.get(part, b""), max_records, MAX_COLUMNS)
    if sum(one.count_cells() for one in ranges) > MAX_CELLS:
        raise WorkbookError("merged cells do not overlap", "more of them than cells")
    fill_merged_cells(rows, ranges)
    texts = [(line, [_format_cell(cell) for cell in cells]) for line, cells in rows.items()]
    return [(line, cells) for line, cells in texts if any(cell.strip() for cell in cells)]


def _read_sheet(content: bytes, computed: bool, max_records: int) -> tuple[str, dict[int, list[Any]]]:
    """The name of the sheet's part, and its rows with anything in them. computed: values instead of formulas."""
    book = openpyxl.load_workbook(io.BytesIO(content), read_only=True, data_only=computed, keep_links=False)
    try:
        found = {name: dict(_iterate_rows(book[name], max_records)) for name in book.sheetnames}
        filled = [name for name, rows in found.items() if rows]
        named = [name for name in book.sheetnames if name.strip().casefold() == SHEET]
        if len(filled) > 1 and len(named) != 1:
            raise WorkbookError(f'one sheet of the workbook is filled, or one is called "{SHEET}"', f"{len(filled)}")
        chosen = named[0] if len(filled) > 1 else next(iter(filled), "")
        sheet: Any = book[chosen] if chosen else None  # openpyxl tells the part in no other way
        part = "" if sheet is None else str(sheet._worksheet_path).removeprefix("/")
        return part, found.get(chosen, {})
    finally:
        book.close()


def _iterate_rows(sheet: Any, max_records: int) -> Iterator[tuple[int, list[Any]]]:
    rows = sheet.iter_rows(max_row=max_records + 1, max_col=MAX_COLUMNS, values_only=True)
    for number, cells in enumerate(rows, start=1):
        filled = [place for place, cell in enumerate(cells) if cell is not None]
        if filled:
            yield number, list(cells[: filled[-1] + 1])


def _mark_uncomputed(values: list[Any], written: list[Any]) -> list[Any]:
    """Formulas without a value become the mark for it: as blanks they would pass for "not recorded"."""
    values = [*values, *[None] * (len(written) - len(values))]
    known = [*written, *[None] * (len(values) - len(written))]
    return [
        UNCOMPUTED if value is None and cell is not None else value for value, cell in zip(values, known, strict=True)
    ]


def _format_cell(value: Any) -> str:
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
