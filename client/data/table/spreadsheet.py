"""The records of a table file, CSV or XLSX, as texts by line. What cannot be read at all is a fault."""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ceus_models.runtime.errors import Fault
from client.data.table.xlsx import SUFFIXES, WorkbookError, read_workbook

MAX_BYTES = 64 * 2**20
MAX_RECORDS = 50_000
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


def read_sheet(path: Path, encoding: str) -> Sheet:
    """Reads a table. encoding: of a CSV file, "utf-8" or "gb18030"; a byte order mark overrules it."""
    try:
        size = path.stat().st_size
        content = path.read_bytes() if size <= MAX_BYTES else b""
    except OSError:
        return _unreadable(
            path.name,
            "the table that site.yaml names exists and can be read",
            "no such file, or no right to it",
            "write the table, or correct the key that names it in site.yaml",
        )
    if size > MAX_BYTES:
        rule = f"the table has at most {MAX_BYTES // 2**20} MiB"
        remedy = "keep one row a lesion, and the clips in their own files"
        return _unreadable(path.name, rule, f"{size // 2**20} MiB", remedy)
    if path.suffix.casefold() in SUFFIXES:
        return _of_workbook(path.name, content)
    return _of_text(path.name, content, encoding)


def _of_workbook(name: str, content: bytes) -> Sheet:
    try:
        return Sheet(name, read_workbook(content, MAX_RECORDS), ())
    except WorkbookError as error:
        return _unreadable(name, error.rule, error.value, "save it again in Excel as .xlsx, or as CSV UTF-8")


def _of_text(name: str, content: bytes, encoding: str) -> Sheet:
    rule, remedy = f"the table is {encoding.upper()}", 'save it as "CSV UTF-8 (comma delimited)"'
    if content.startswith(_UTF16):
        return _unreadable(name, rule, "UTF-16", remedy)
    text = _decoded(content, "utf-8")
    if encoding == "utf-8" and text is None:
        value = "another encoding"
        if _decoded(content, "gb18030") is not None:
            value, remedy = "what may be GB18030", f"{remedy}, or write encoding: gb18030 in site.yaml"
        return _unreadable(name, rule, value, remedy)
    if encoding != "utf-8" and (text is None or text.isascii()):
        text = _decoded(content, encoding)
    elif encoding != "utf-8" and not content.startswith(codecs.BOM_UTF8):
        return _unreadable(name, rule, "UTF-8", "write encoding: utf-8 in site.yaml")
    return _unreadable(name, rule, "another encoding", remedy) if text is None else _records(name, text)


def _decoded(content: bytes, encoding: str) -> str | None:
    try:
        return content.decode("utf-8-sig" if encoding == "utf-8" else encoding)
    except UnicodeDecodeError:
        return None


def _records(name: str, text: str) -> Sheet:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    records: Records = []
    begins = 1
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                records.append((begins, cells))
            begins = reader.line_num + 1
            if len(records) > MAX_RECORDS:
                return _unreadable(name, f"the table has at most {MAX_RECORDS} rows", "more", "split it by hospital")
    except csv.Error:
        rule, remedy = "every quote is closed and doubled inside a cell", "save the table again from Excel as CSV"
        fault = Fault(name, begins, "", "unreadable-table", rule, "one that is not", remedy)
        return Sheet(name, records, (fault,))
    return Sheet(name, records, ())


def _unreadable(name: str, rule: str, value: str, remedy: str) -> Sheet:
    return Sheet(name, [], (Fault(name, None, "", "unreadable-table", rule, value, remedy),))
