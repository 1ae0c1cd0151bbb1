"""Add rows at the end of the hospital's table; every byte before them stays as it is."""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from ceus_models.runtime.atomic_files import PRIVATE, write_atomically
from ceus_models.runtime.csv_cells import format_csv
from ceus_models.runtime.errors import ExpectedError
from client.data.scan.draft import NamedExam, fill_row, format_table
from client.data.table.units import split_header

_LESION, _CLIPS = "lesion_id", "clips"


Rows = Sequence[Mapping[str, str]]
"""Column → text each."""


def add_rows(table: Path, encoding: str, exams: Sequence[NamedExam]) -> int:
    """Add a row for each exam none of whose clips stands in the table; how many. As `append_rows`."""
    filled = [named for named in exams if named.places]

    def select(text: str) -> Rows:
        return [fill_row(named) for named in filled if not any(place in text for place in named.places.values())]

    return _append(table, encoding, select)


def append_rows(table: Path, encoding: str, rows: Rows) -> None:
    """Add rows at a table's end. A missing table is made.

    encoding: of the table, where no byte order mark says it. Raises ExpectedError where the table is no CSV with the
    columns lesion_id and clips, and OSError where it cannot be written.
    """
    _append(table, encoding, lambda text: rows)


def _append(table: Path, encoding: str, select: Callable[[str], Rows]) -> int:
    """select: from the table's text, the rows to add."""
    if table.suffix.casefold() != ".csv":
        raise ExpectedError(
            f"rows are added to a CSV table only, found {table.suffix or 'no suffix'}; copy them from the draft"
        )
    if not table.exists():
        rows = select("")
        write_atomically(table, format_table(rows), PRIVATE)
        return len(rows)
    content = table.read_bytes()
    used = "utf-8-sig" if content.startswith(codecs.BOM_UTF8) else encoding
    try:
        text = content.decode(used)
    except UnicodeDecodeError:
        raise ExpectedError(
            f"expected {table.name} in {encoding}; save it so, or correct encoding in site.yaml"
        ) from None
    names, rows = _find_columns(text, table.name), select(text)
    if rows:
        write_atomically(table, (text + _format_rows(text, names, rows)).encode(used), table.stat().st_mode & 0o777)
    return len(rows)


def _find_columns(text: str, file: str) -> list[str]:
    """Names of the columns, from the first line that has those that are needed."""
    for record in csv.reader(io.StringIO(text, newline="")):
        names = [split_header(title)[0].strip() for title in record]
        if _LESION in names and _CLIPS in names:
            return names
    raise ExpectedError(
        f"expected a header with {_LESION} and {_CLIPS} in {file}, found none; run ceus-site check first"
    )


def _format_rows(text: str, names: Sequence[str], rows: Rows) -> str:
    end = "\r\n" if "\r\n" in text else "\n"
    made = format_csv(([row.get(name, "") for name in names] for row in rows), end)
    return ("" if text.endswith(("\n", "\r")) else end) + made
