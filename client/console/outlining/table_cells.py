"""Writes single cells of the hospital's CSV table: every other byte of it stays as it is."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ceus_models.runtime.atomic_files import write_atomically
from ceus_models.runtime.errors import ExpectedError
from client.data.forms.site_config import SiteConfig
from client.data.table.table import read_table

_FIELD = re.compile(r'(?:"(?:[^"]|"")*"|[^,"\r\n])*')
_LINE_END = re.compile(r"\r\n|\r|\n")


@dataclass(frozen=True)
class _Record:
    """line: of the first character, from 1 · fields: where each begins and ends in the text."""

    line: int
    fields: tuple[tuple[int, int], ...]


def write_cells(site: SiteConfig, line: int, cells: Mapping[str, str]) -> None:
    """Write cells of one row.

    Args:
        line: of the row; the header is line 1.
        cells: column → text. A column that the table lacks is refused.

    Raises:
        ExpectedError: the table is a workbook, lacks a column or the row, or cannot be written; the text says what to
            write by hand.
    """
    by_hand = "; ".join(f"write {text or 'nothing'} in {column}" for column, text in cells.items())
    if site.table.suffix.casefold() != ".csv":
        raise ExpectedError(f"only a CSV table is written here; {by_hand} of row {line} of {site.table.name} in Excel")
    places = read_table(site.table, site.lesions_format, site.labels).positions
    absent = [column for column in cells if column not in places]
    if absent:
        raise ExpectedError(
            f"the table lacks the column {', '.join(absent)}; add it to the header of {site.table.name}"
        )
    try:
        content = site.table.read_bytes()
        mode = site.table.stat().st_mode & 0o777
        text, encoding = _decode(content, site.lesions_format.encoding)
        changed = _replace(text, line, {places[column]: cell for column, cell in cells.items()})
        write_atomically(site.table, changed.encode(encoding), mode)
    except (OSError, UnicodeError, _UnlikeError):
        raise ExpectedError(f"the table cannot be written here; {by_hand} of row {line} of {site.table.name}") from None


class _UnlikeError(Exception):
    """The table is not as it was read."""


def _decode(content: bytes, encoding: str) -> tuple[str, str]:
    """The text, its byte order mark included as a part of the encoding's name."""
    if content.startswith(codecs.BOM_UTF8):
        return content.decode("utf-8-sig"), "utf-8-sig"
    return content.decode(encoding), encoding


def _replace(text: str, line: int, cells: Mapping[int, str]) -> str:
    """The text with the cells at these places of a record written anew; all others are checked to be the same."""
    record = next((one for one in _split(text) if one.line == line), None)
    if record is None:
        raise _UnlikeError
    known, end = len(record.fields), record.fields[-1][1]
    added = "".join(f",{_quote(cells.get(place, ''))}" for place in range(known, max(cells) + 1))
    changed = f"{text[:end]}{added}{text[end:]}"
    for place in sorted((place for place in cells if place < known), reverse=True):
        start, end = record.fields[place]
        changed = f"{changed[:start]}{_quote(cells[place])}{changed[end:]}"
    _check_others(text, changed, line, cells)
    return changed


def _split(text: str) -> Iterator[_Record]:
    place, line, begins, fields = 0, 1, 1, []
    while place <= len(text):
        match = _FIELD.match(text, place)
        end = match.end() if match else place
        fields.append((place, end))
        line += len(_LINE_END.findall(text, place, end))
        if end < len(text) and text[end] == ",":
            place = end + 1
            continue
        yield _Record(begins, tuple(fields))
        stop = _LINE_END.match(text, end)
        if stop is None:
            return
        place, line = stop.end(), line + 1
        begins, fields = line, []


def _quote(cell: str) -> str:
    return '"' + cell.replace('"', '""') + '"' if re.search(r'[",\r\n]', cell) else cell


def _check_others(before: str, after: str, line: int, cells: Mapping[int, str]) -> None:
    """Raises _UnlikeError where another cell than these would change."""
    old, new = (list(_parse(text)) for text in (before, after))
    if len(old) != len(new):
        raise _UnlikeError
    for (begins, one), (_, other) in zip(old, new, strict=True):
        expected = list(one)
        if begins == line:
            expected += [""] * (max(cells) + 1 - len(expected))
            for place, cell in cells.items():
                expected[place] = cell
        if expected != other:
            raise _UnlikeError


def _parse(text: str) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    begins = 1
    try:
        for cells in reader:
            yield begins, cells
            begins = reader.line_num + 1
    except csv.Error:
        raise _UnlikeError from None
