"""Merged cells of a sheet: Excel keeps their value in the first cell only, and shows it over all of them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from openpyxl.utils.cell import column_index_from_string

_MERGED = re.compile(rb"<(?:\w+:)?mergeCell\b[^>]*?\bref=[\"']([A-Z]{1,3})(\d{1,9}):([A-Z]{1,3})(\d{1,9})[\"']")


@dataclass(frozen=True, slots=True)
class MergedCells:
    """A range of merged cells, counted from 1, the ends included."""

    first_row: int
    last_row: int
    first_column: int
    last_column: int

    def count_cells(self) -> int:
        """How many cells it has."""
        return (self.last_row - self.first_row + 1) * (self.last_column - self.first_column + 1)


def find_merged_cells(sheet: bytes, max_row: int, max_column: int) -> list[MergedCells]:
    """The merged ranges of a sheet's XML, as far as its rows and columns are read."""
    found = []
    for names in _MERGED.findall(sheet):
        left, right = (column_index_from_string(name.decode()) for name in names[::2])
        top, bottom = (int(name) for name in names[1::2])
        if left <= min(right, max_column) and top <= min(bottom, max_row):
            found.append(MergedCells(top, min(bottom, max_row), left, min(right, max_column)))
    return found


def fill_merged_cells(rows: dict[int, list[Any]], ranges: Iterable[MergedCells]) -> None:
    """Gives every cell of a range the value of its first; a row without a cell of its own stays as it is.

    rows: Number from 1 → cells, changed in place.
    """
    for one in ranges:
        first = rows.get(one.first_row, [])
        value = first[one.first_column - 1] if one.first_column <= len(first) else None
        for number in range(one.first_row, one.last_row + 1):
            cells = rows.get(number)
            if cells is not None:
                cells.extend([None] * (one.last_column - len(cells)))
                cells[one.first_column - 1 : one.last_column] = [value] * (one.last_column - one.first_column + 1)
