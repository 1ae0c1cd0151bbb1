"""A table as hospitals save it: its columns by name and unit, its records by line, their words in ours."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ceus_models.runtime.csv_cells import unquote_formula
from ceus_models.runtime.errors import Fault
from client.data.forms.table_format import TableFormat
from client.data.table.cells import RowCells
from client.data.table.header import LESION_FORM, TableForm, find_header
from client.data.table.spreadsheet.records import read_sheet
from client.data.table.suggestions import Suggestion
from client.data.words import fold_word, strip_invisible

Labels = Mapping[str, Mapping[str, str]]
"""Column → {the hospital's word: ours}."""


@dataclass(frozen=True)
class Table:
    """A table with its columns located.

    Attributes:
        name: Name of the file.
        header_row: Row of the header.
        positions: Column → place in a record.
        factors: Clinical column → factor to the taxonomy's own unit, absent where its unit is not known.
        records: (line of the first character, cells).
        width: Number of cells of the header.
        labels: See Labels, folded.
        faults, suggestions: Of the header or the file.
    """

    name: str
    header_row: int
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
            row = RowCells(self.name, line, self._name_cells(cells))
            if len(cells) > self.width:
                rule = f"a row has {self.width} cells like the header"
                row.add_fault("", "cell-count", rule, str(len(cells)), "put quotes around a cell that holds a comma")
            yield row

    def _name_cells(self, cells: Sequence[str]) -> dict[str, str]:
        """Column → text, stripped, in our words; a short record's missing cells are blank."""
        texts = {
            name: unquote_formula(strip_invisible(cells[place])) if place < len(cells) else ""
            for name, place in self.positions.items()
        }
        return {name: self.labels.get(name, {}).get(fold_word(text), text) for name, text in texts.items()}


def read_table(path: Path, saved: TableFormat, labels: Labels, form: TableForm = LESION_FORM) -> Table:
    """Reads a table. What cannot be read at all becomes a fault of a table without records."""
    sheet = read_sheet(path, saved)
    folded = {column: {fold_word(word): ours for word, ours in words.items()} for column, words in labels.items()}
    header = find_header(sheet, form, saved)
    if header.titles is None:
        return Table(path.name, header.row, {}, {}, (), 0, folded, header.faults)
    records = [record for record in sheet.records if record[0] > header.row]
    return Table(
        name=sheet.name,
        header_row=header.row,
        positions=header.positions,
        factors=header.factors,
        records=records if form.required <= set(header.positions) else (),
        width=len(header.titles),
        labels=folded,
        faults=header.faults,
        suggestions=header.suggestions,
    )
