"""A table as hospitals save it: its columns by name and unit, its records by line, their words in ours."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ceus_models.runtime.errors import Fault
from ceus_models.study.taxonomy import CLINICAL, Variable
from client.data.forms.columns import EXAM_COLUMNS, LESIONS, READS, UNSEEN_COLUMNS, Column
from client.data.table.cells import RowCells
from client.data.table.spreadsheet import Sheet, read_sheet
from client.data.table.suggestions import Suggestion
from client.data.table.units import factor_of, split_header
from client.faults.fault import nearest, shown

COLUMNS = tuple(column.name for column in LESIONS)
Labels = Mapping[str, Mapping[str, str]]
"""Column → {the hospital's word: ours}."""


@dataclass(frozen=True)
class Form:
    """What a table must have.

    Attributes:
        columns: The columns in order.
        required: The columns without which no record is read.
    """

    columns: tuple[Column, ...]
    required: frozenset[str]


LESION_FORM = Form(LESIONS, frozenset(EXAM_COLUMNS))
UNSEEN_FORM = Form(
    tuple(replace(column, optional=column.name not in UNSEEN_COLUMNS) for column in LESIONS), frozenset(UNSEEN_COLUMNS)
)
READ_FORM = Form(READS, frozenset(column.name for column in READS if not column.optional))


@dataclass(frozen=True)
class Table:
    """A table with its columns located.

    Attributes:
        name: Name of the file.
        positions: Column → place in a record.
        factors: Clinical column → factor to the taxonomy's own unit, absent where its unit is not known.
        records: (line of the first character, cells).
        width: Number of cells of the header.
        labels: See Labels, folded.
        faults, suggestions: Of the header or the file.
    """

    name: str
    positions: Mapping[str, int]
    factors: Mapping[str, float]
    records: Sequence[tuple[int, Sequence[str]]]
    width: int
    labels: Labels
    faults: Sequence[Fault]
    suggestions: Sequence[Suggestion] = ()

    def rows(self) -> Iterator[RowCells]:
        """Every record's cells, with a fault where there are more of them than columns."""
        for line, cells in self.records:
            row = RowCells(self.name, line, self._named(cells))
            if len(cells) > self.width:
                rule = f"a row has {self.width} cells like the header"
                row.blame("", "cell-count", rule, str(len(cells)), "put quotes around a cell that holds a comma")
            yield row

    def _named(self, cells: Sequence[str]) -> dict[str, str]:
        """Column → text, stripped, in our words; a short record's missing cells are blank."""
        texts = {name: cells[place].strip() if place < len(cells) else "" for name, place in self.positions.items()}
        return {name: self.labels.get(name, {}).get(_folded(text), text) for name, text in texts.items()}


def read_table(path: Path, encoding: str, labels: Labels, form: Form = LESION_FORM) -> Table:
    """Reads a table. What cannot be read at all becomes a fault of a table without records."""
    sheet = read_sheet(path, encoding)
    folded = {column: {_folded(word): ours for word, ours in words.items()} for column, words in labels.items()}
    if not sheet.records:
        faults = sheet.faults or (_empty(path.name, form),)
        return Table(path.name, {}, {}, (), 0, folded, faults)
    return _headed(sheet, folded, form)


def _headed(sheet: Sheet, labels: Labels, form: Form) -> Table:
    header = sheet.records[0][1]
    positions, units, faults = _positions(sheet.name, header, form)
    missing = list(_missing(sheet.name, header, positions, form))
    factors: dict[str, float] = {}
    for variable in CLINICAL:
        factor = factor_of(variable, units.get(variable.name, ""))
        if variable.name in positions and factor is None:
            faults.append(_unknown_unit(sheet.name, variable, units[variable.name]))
        elif variable.name in positions and factor is not None:
            factors[variable.name] = factor
    return Table(
        name=sheet.name,
        positions=positions,
        factors=factors,
        records=sheet.records[1:] if form.required <= set(positions) else (),
        width=len(header),
        labels=labels,
        faults=(*sheet.faults, *faults, *(fault for fault, _ in missing)),
        suggestions=[suggestion for _, suggestion in missing if suggestion],
    )


def _positions(name: str, header: Sequence[str], form: Form) -> tuple[dict[str, int], dict[str, str], list[Fault]]:
    """Column → place, column → unit in its header, and the columns that stand twice."""
    by_folded = {column.name.casefold(): column.name for column in form.columns}
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
    return positions, units, faults


def _missing(
    name: str, header: Sequence[str], positions: Mapping[str, int], form: Form
) -> Iterator[tuple[Fault, Suggestion | None]]:
    """A header may be a patient's row, where there is none: it is told by place, not by its text."""
    titles = [split_header(text)[0] for text in header]
    for column in form.columns:
        if column.name in positions or column.optional:
            continue
        meant = nearest(column.name, [title for title in titles if title])
        suggestion = None
        if len(header) == 1 and any(separator in header[0] for separator in ";\t|"):
            value, remedy = "cells joined by another sign", "save the table with commas between the cells"
        elif meant:
            place = titles.index(meant)
            value, remedy = f"a name near it in column {place + 1}", f'rename it to "{column.name}"'
            proposed = header[place].replace(meant, column.name)
            suggestion = Suggestion(1, column.name, header[place], proposed, "the header is nearly this column's name")
        else:
            value, remedy = "no such column", "add it; leave its cells blank where nothing is recorded"
        rule = f"the table has a column {column.name}"
        yield Fault(name, 1, column.name, "missing-column", rule, value, remedy), suggestion


def _unknown_unit(name: str, variable: Variable, unit: str) -> Fault:
    accepted = ", ".join(variable.accepted_units())
    value = shown(unit, variable.accepted_units()) if unit else "no unit"
    remedy = f"write {variable.name} ({variable.unit}) and convert; until then it counts as not recorded"
    rule = f"the header gives one of the units {accepted} in parentheses"
    return Fault(name, 1, variable.name, "wrong-unit", rule, value, remedy)


def _empty(name: str, form: Form) -> Fault:
    rule = "the table has a header line"
    remedy = f"begin with the columns {', '.join(column.name for column in form.columns)}"
    return Fault(name, 1, "", "empty-table", rule, "nothing", remedy)


def _folded(text: str) -> str:
    """One spelling of a word: full-width and half-width forms, capital and small letters are the same."""
    return unicodedata.normalize("NFKC", text).strip().casefold()
