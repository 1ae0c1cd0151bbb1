"""Add the exams that the table does not have yet as rows at its end; every byte before them stays as it is."""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Sequence
from pathlib import Path

from ceus_models.runtime.atomic_files import PRIVATE, write_atomically
from ceus_models.runtime.csv_cells import format_csv
from ceus_models.runtime.errors import ExpectedError
from client.data.scan.draft import NamedExam, fill_row, format_draft
from client.data.table.units import split_header

_LESION, _CLIPS = "lesion_id", "clips"


def add_rows(table: Path, encoding: str, exams: Sequence[NamedExam]) -> int:
    """Add a row for each exam none of whose clips stands in the table; how many. A missing table is made.

    encoding: of the table, where no byte order mark says it. Raises ExpectedError where the table is no CSV with the
    columns lesion_id and clips, and OSError where it cannot be written.
    """
    if table.suffix.casefold() != ".csv":
        raise ExpectedError(
            f"rows are added to a CSV table only, found {table.suffix or 'no suffix'}; copy them from the draft"
        )
    filled = [named for named in exams if named.places]
    if not table.exists():
        write_atomically(table, format_draft(filled), PRIVATE)
        return len(filled)
    content = table.read_bytes()
    used = "utf-8-sig" if content.startswith(codecs.BOM_UTF8) else encoding
    try:
        text = content.decode(used)
    except UnicodeDecodeError:
        raise ExpectedError(
            f"expected {table.name} in {encoding}; save it so, or correct encoding in site.yaml"
        ) from None
    names = _find_columns(text, table.name)
    new = [named for named in filled if not any(place in text for place in named.places.values())]
    if new:
        write_atomically(table, (text + _format_rows(text, names, new)).encode(used), table.stat().st_mode & 0o777)
    return len(new)


def _find_columns(text: str, file: str) -> list[str]:
    """Names of the columns, from the first line that has those that are needed."""
    for record in csv.reader(io.StringIO(text, newline="")):
        names = [split_header(title)[0].strip() for title in record]
        if _LESION in names and _CLIPS in names:
            return names
    raise ExpectedError(
        f"expected a header with {_LESION} and {_CLIPS} in {file}, found none; run ceus-site check first"
    )


def _format_rows(text: str, names: Sequence[str], exams: Sequence[NamedExam]) -> str:
    end = "\r\n" if "\r\n" in text else "\n"
    rows = [fill_row(named) for named in exams]
    made = format_csv(([row.get(name, "") for name in names] for row in rows), end)
    return ("" if text.endswith(("\n", "\r")) else end) + made
