"""The records of a table file, CSV or XLSX, as texts by line. What cannot be read at all is a fault."""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ceus_models.runtime.errors import Fault
from client.data.forms.table_format import TableFormat
from client.data.table.spreadsheet.xlsx import SUFFIXES, WorkbookError, read_workbook

MAX_BYTES = 64 * 2**20
MAX_RECORDS = 50_000
_BOM = "\ufeff"
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
Records = list[tuple[int, list[str]]]
"""Line of the first character (1-based) and cells."""


@dataclass(frozen=True)
class Sheet:
    """The records of a table file.

    Attributes:
        name: Our name for the file.
        records: All lines but the blank ones.
        faults: Faults of the file as a whole.
    """

    name: str
    records: Records
    faults: Sequence[Fault]


def read_sheet(path: Path, form: TableFormat) -> Sheet:
    """Reads a table."""
    try:
        size = path.stat().st_size
        content = path.read_bytes() if size <= MAX_BYTES else b""
    except OSError:
        return _make_unreadable(
            path.name,
            "the table that site.yaml names exists and can be read",
            "no such file, or no right to it",
            "write the table, or correct the key that names it in site.yaml",
        )
    if size > MAX_BYTES:
        rule = f"the table has at most {MAX_BYTES // 2**20} MiB"
        remedy = "keep one row a lesion, and the clips in their own files"
        return _make_unreadable(path.name, rule, f"{size // 2**20} MiB", remedy)
    if path.suffix.casefold() in SUFFIXES:
        return _parse_workbook(path.name, content)
    return _parse_text(path.name, content, form)


def _parse_workbook(name: str, content: bytes) -> Sheet:
    try:
        return Sheet(name, read_workbook(content, MAX_RECORDS), ())
    except WorkbookError as error:
        return _make_unreadable(name, error.rule, error.value, "save it again in Excel as .xlsx, or as CSV UTF-8")


def _parse_text(name: str, content: bytes, form: TableFormat) -> Sheet:
    encoding = "utf-8" if content.startswith(codecs.BOM_UTF8) else form.encoding
    rule, remedy = f"the table is {encoding.upper()}", 'save it as "CSV UTF-8 (comma delimited)"'
    if content.startswith(_UTF16):
        return _make_unreadable(name, rule, "UTF-16", remedy)
    text = _decode_text(content, encoding)
    other = _decode_text(content, "gb18030" if encoding == "utf-8" else "utf-8")
    if encoding == "gb18030" and other is not None and not other.isascii():
        return _make_unreadable(name, rule, "UTF-8", f"write {form.advise('encoding', 'utf-8')} in site.yaml")
    if text is None and encoding == "utf-8" and other is not None:
        remedy = f"{remedy}, or write {form.advise('encoding', 'gb18030')} in site.yaml"
        return _make_unreadable(name, rule, "what may be GB18030", remedy)
    return _make_unreadable(name, rule, "another encoding", remedy) if text is None else _split_records(name, text)


def _decode_text(content: bytes, encoding: str) -> str | None:
    """The text without byte order marks, of which a file that was saved twice has two."""
    try:
        return content.decode(encoding).lstrip(_BOM)
    except UnicodeDecodeError:
        return None


def _split_records(name: str, text: str) -> Sheet:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    records: Records = []
    begins = 1
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                records.append((begins, cells))
            begins = reader.line_num + 1
            if len(records) > MAX_RECORDS:
                return _make_unreadable(
                    name, f"the table has at most {MAX_RECORDS} rows", "more", "split it by hospital"
                )
    except csv.Error:
        rule, remedy = "every quote is closed and doubled inside a cell", "save the table again from Excel as CSV"
        fault = Fault(name, begins, "", "unreadable-table", rule, "one that is not", remedy)
        return Sheet(name, records, (fault,))
    return Sheet(name, records, ())


def _make_unreadable(name: str, rule: str, value: str, remedy: str) -> Sheet:
    return Sheet(name, [], (Fault(name, None, "", "unreadable-table", rule, value, remedy),))
