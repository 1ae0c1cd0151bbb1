"""The header of a table: in which row it is, which columns it has, and in which units."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from ceus_models.runtime.errors import Fault
from ceus_models.study.taxonomy import CLINICAL, Variable
from client.data.forms.columns import EXAM_COLUMNS, LESIONS, READS, UNSEEN_COLUMNS, Column
from client.data.forms.table_format import TableFormat
from client.data.table.spreadsheet.records import Sheet
from client.data.table.suggestions import Suggestion
from client.data.table.units import find_factor, split_header
from client.faults.fault import find_nearest, show_cell

COLUMNS = tuple(column.name for column in LESIONS)
_SEARCHED_RECORDS = 50
"""A header that stands elsewhere than stated is looked for in so many."""
_LEAST_SHARE = 0.5
"""Of the required columns, by which a row is known to be the header."""


@dataclass(frozen=True)
class TableForm:
    """What a table must have.

    Attributes:
        columns: The columns in order.
        required: The columns without which no record is read.
    """

    columns: tuple[Column, ...]
    required: frozenset[str]


LESION_FORM = TableForm(LESIONS, frozenset(EXAM_COLUMNS))
UNSEEN_FORM = TableForm(
    tuple(replace(column, optional=column.name not in UNSEEN_COLUMNS) for column in LESIONS), frozenset(UNSEEN_COLUMNS)
)
READ_FORM = TableForm(READS, frozenset(column.name for column in READS if not column.optional))


@dataclass(frozen=True)
class Header:
    """The header of a table.

    Attributes:
        row: Its row, 1-based.
        titles: Its cells; None where there is no header.
        positions: Column → place in a record.
        factors: Clinical column → factor to the taxonomy's own unit, absent where its unit is not known.
        faults, suggestions: Of the header, and of the file as a whole.
    """

    row: int
    titles: Sequence[str] | None = None
    positions: Mapping[str, int] = field(default_factory=dict)
    factors: Mapping[str, float] = field(default_factory=dict)
    faults: Sequence[Fault] = ()
    suggestions: Sequence[Suggestion] = ()


def find_header(sheet: Sheet, form: TableForm, saved: TableFormat) -> Header:
    """The header in the row that site.yaml states, or below it where that is blank.

    Where the header stands elsewhere, its row is named and nothing is read.
    """
    if not sheet.records:
        return Header(saved.header_row, faults=sheet.faults or (_make_empty_fault(sheet.name, form),))
    row, stated = next((record for record in sheet.records if record[0] >= saved.header_row), (saved.header_row, []))
    elsewhere = _find_other_row(sheet, form, stated)
    if elsewhere is not None or not stated:
        return Header(row, faults=(*sheet.faults, _make_row_fault(sheet.name, saved, elsewhere)))
    return _read_titles(sheet, row, stated, form)


def _find_other_row(sheet: Sheet, form: TableForm, stated: Sequence[str]) -> int | None:
    """The row that has most of the columns, where that is more than the stated one has."""
    counts = {line: _count_columns(cells, form) for line, cells in sheet.records[:_SEARCHED_RECORDS]}
    best = max(counts, key=lambda line: counts[line])
    enough = max(_LEAST_SHARE * len(form.required), _count_columns(stated, form) + 1)
    return best if counts[best] >= enough else None


def _count_columns(cells: Sequence[str], form: TableForm) -> int:
    """How many of the columns of a form a row names."""
    titles = {split_header(text)[0].casefold() for text in cells}
    return sum(column.name.casefold() in titles for column in form.columns)


def _read_titles(sheet: Sheet, row: int, titles: Sequence[str], form: TableForm) -> Header:
    positions, units, faults = _locate_columns(sheet.name, row, titles, form)
    missing = list(_find_missing(sheet.name, row, titles, [c for c in form.columns if c.name not in positions]))
    factors: dict[str, float] = {}
    for variable in CLINICAL:
        factor = find_factor(variable, units.get(variable.name, ""))
        if variable.name in positions and factor is None:
            faults.append(_make_unit_fault(sheet.name, row, variable, units[variable.name]))
        elif variable.name in positions and factor is not None:
            factors[variable.name] = factor
    return Header(
        row=row,
        titles=titles,
        positions=positions,
        factors=factors,
        faults=(*sheet.faults, *faults, *(fault for fault, _ in missing)),
        suggestions=[suggestion for _, suggestion in missing if suggestion],
    )


def _locate_columns(
    name: str, row: int, titles: Sequence[str], form: TableForm
) -> tuple[dict[str, int], dict[str, str], list[Fault]]:
    """Column → place, column → unit in its title, and the columns that stand twice."""
    by_folded = {column.name.casefold(): column.name for column in form.columns}
    positions: dict[str, int] = {}
    units: dict[str, str] = {}
    faults: list[Fault] = []
    for place, text in enumerate(titles):
        title, unit = split_header(text)
        column = by_folded.get(title.casefold())
        if column in positions:
            rule, remedy = "a column stands once", "remove one of the two"
            faults.append(Fault(name, row, column, "repeated-column", rule, "it twice", remedy))
        elif column is not None:
            positions[column], units[column] = place, unit
    return positions, units, faults


def _find_missing(
    name: str, row: int, header: Sequence[str], absent: Sequence[Column]
) -> Iterator[tuple[Fault, Suggestion | None]]:
    """A header may be a patient's row, where there is none: it is told by place, not by its text."""
    titles = [split_header(text)[0] for text in header]
    for column in absent:
        if column.optional:
            continue
        meant = find_nearest(column.name, [title for title in titles if title])
        suggestion = None
        if len(header) == 1 and any(separator in header[0] for separator in ";\t|"):
            value, remedy = "cells joined by another sign", "save the table with commas between the cells"
        elif meant:
            place = titles.index(meant)
            value, remedy = f"a name near it in column {place + 1}", f'rename it to "{column.name}"'
            unit = split_header(header[place])[1]
            proposed = f"{column.name} ({unit})" if unit else column.name
            suggestion = Suggestion(row, column.name, header[place], proposed, "nearly this column's name")
        else:
            value, remedy = "no such column", "add it; leave its cells blank where nothing is recorded"
        rule = f"the table has a column {column.name}"
        yield Fault(name, row, column.name, "missing-column", rule, value, remedy), suggestion


def _make_row_fault(name: str, saved: TableFormat, found: int | None) -> Fault:
    rule = f"the header is in row {saved.header_row}, as header_row of site.yaml states (1 without it)"
    if found is None:
        value, remedy = "no such row", f"write the row of the header: {saved.advise('header_row', 'ROW')}"
    else:
        value = f"it in row {found}"
        remedy = f"write {saved.advise('header_row', found)} in site.yaml"
        remedy += ", or delete the rows above it" if saved.header_row < found else ""
    return Fault(name, saved.header_row, "", "header-row", rule, value, remedy)


def _make_unit_fault(name: str, row: int, variable: Variable, unit: str) -> Fault:
    accepted = ", ".join(variable.list_units())
    value = show_cell(unit, variable.list_units()) if unit else "no unit"
    remedy = f"write {variable.name} ({variable.unit}) and convert; until then it counts as not recorded"
    rule = f"the header gives one of the units {accepted} in parentheses"
    return Fault(name, row, variable.name, "wrong-unit", rule, value, remedy)


def _make_empty_fault(name: str, form: TableForm) -> Fault:
    rule = "the table has a header line"
    remedy = f"begin with the columns {', '.join(column.name for column in form.columns)}"
    return Fault(name, 1, "", "empty-table", rule, "nothing", remedy)
