"""A CSV table as hospitals save it: its columns by name and unit, its records by line."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ceus_models.taxonomy import BIOMARKERS, CLINICAL, Variable
from client.faults import Fault, nearest, shown
from client.units import factor_of, split_header

EXAM_COLUMNS = (
    "lesion_id",
    "patient_id",
    "exam_date",
    "fll_type",
    "manufacturer",
    "clips",
    "clip_start_s",
    "frame_rate_hz",
    "outline",
    "outline_frame",
    "outline_pane",
)
COLUMNS = (*EXAM_COLUMNS, *BIOMARKERS, *(variable.name for variable in CLINICAL), "pathology_confirmed")
MAX_BYTES = 64 * 2**20


@dataclass(frozen=True)
class Table:
    """positions: column → place in a record · factors: clinical column → factor to the taxonomy's own unit, absent
    where its unit is not known · records: (line of the first character, cells) · width: cells of the header ·
    faults: of the header or the file.
    """

    positions: Mapping[str, int]
    factors: Mapping[str, float]
    records: Sequence[tuple[int, Sequence[str]]]
    width: int
    faults: Sequence[Fault]

    def named(self, cells: Sequence[str]) -> dict[str, str]:
        """Column → text, stripped; a short record's missing cells are blank."""
        return {name: cells[place].strip() if place < len(cells) else "" for name, place in self.positions.items()}


def read_table(path: Path) -> Table:
    """Reads a table. What cannot be read at all becomes a fault of a table without records."""
    text, fault = _text(path)
    if fault is not None:
        return Table({}, {}, (), 0, (fault,))
    records, broken = _records(path.name, text)
    if not records:
        rule, remedy = "the table has a header line", f"begin with the columns {', '.join(COLUMNS)}"
        return Table({}, {}, (), 0, (*broken, Fault(path.name, 1, "", "empty-table", rule, "nothing", remedy)))
    header = records[0][1]
    positions, factors, faults = _header(path.name, header)
    usable = set(EXAM_COLUMNS) <= set(positions)
    return Table(positions, factors, records[1:] if usable else (), len(header), (*broken, *faults))


def _text(path: Path) -> tuple[str, Fault | None]:
    try:
        size = path.stat().st_size
        if size <= MAX_BYTES:
            return path.read_bytes().decode("utf-8-sig"), None
        rule, value = f"the table has at most {MAX_BYTES // 2**20} MiB", f"{size // 2**20} MiB"
        remedy = "keep one row a lesion, and the clips in their own files"
    except OSError:
        rule, value = "the table that site.yaml names exists and can be read", "no such file, or no right to it"
        remedy = "write the table, or correct the key `table` in site.yaml"
    except UnicodeDecodeError:
        rule, value = "the table is UTF-8", "another encoding"
        remedy = 'save it as "CSV UTF-8 (comma delimited)"'
    return "", Fault(path.name, None, "", "unreadable-table", rule, value, remedy)


def _records(name: str, text: str) -> tuple[list[tuple[int, list[str]]], tuple[Fault, ...]]:
    """Records with the line where each begins; blank lines are passed over."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    records: list[tuple[int, list[str]]] = []
    begins = 1
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                records.append((begins, cells))
            begins = reader.line_num + 1
    except csv.Error as error:
        rule, remedy = "every quote is closed and doubled inside a cell", "save the table again from Excel as CSV"
        fault = Fault(name, begins, "", "unreadable-table", rule, str(error)[:80], remedy)
        return records, (fault,)
    return records, ()


def _header(name: str, header: Sequence[str]) -> tuple[dict[str, int], dict[str, float], list[Fault]]:
    by_folded = {column.casefold(): column for column in COLUMNS}
    positions: dict[str, int] = {}
    units: dict[str, str] = {}
    faults: list[Fault] = []
    for place, text in enumerate(header):
        title, unit = split_header(text)
        column = by_folded.get(title.casefold())
        if column in positions:
            rule, remedy = "a column stands once", "remove one of the two"
            faults.append(Fault(name, 1, column, "repeated-column", rule, "it twice", remedy))
        elif column is not None:
            positions[column], units[column] = place, unit
    faults.extend(_missing(name, header, positions))
    factors: dict[str, float] = {}
    for variable in CLINICAL:
        factor = factor_of(variable, units.get(variable.name, ""))
        if variable.name in positions and factor is None:
            faults.append(_unknown_unit(name, variable, units[variable.name]))
        elif variable.name in positions and factor is not None:
            factors[variable.name] = factor
    return positions, factors, faults


def _missing(name: str, header: Sequence[str], positions: Mapping[str, int]) -> Iterator[Fault]:
    titles = [split_header(text)[0] for text in header]
    for column in COLUMNS:
        if column in positions:
            continue
        meant = nearest(column, [title for title in titles if title])
        if len(header) == 1 and ";" in header[0]:
            value, remedy = "cells joined by semicolons", "save the table with commas between the cells"
        elif meant:
            value, remedy = f'a column "{meant}"', f'rename it to "{column}"'
        else:
            value, remedy = "no such column", "add it; leave its cells blank where nothing is recorded"
        yield Fault(name, 1, column, "missing-column", f"the table has a column {column}", value, remedy)


def _unknown_unit(name: str, variable: Variable, unit: str) -> Fault:
    accepted = ", ".join(variable.accepted_units())
    value = shown(unit, variable.accepted_units()) if unit else "no unit"
    remedy = f"write {variable.name} ({variable.unit}) and convert; until then it counts as not recorded"
    rule = f"the header gives one of the units {accepted} in parentheses"
    return Fault(name, 1, variable.name, "wrong-unit", rule, value, remedy)
