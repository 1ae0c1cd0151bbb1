"""The report's section on experiments: each with its finding, its figure and its table, as it was left."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from server.report import cells
from server.report import csv_tables as numbers
from server.report.figures.plain_data import drawn, is_drawable
from server.report.html import Cell, Html, details, figure, grid, paragraph, section, table, tag
from server.report.values import Results, number
from server.report.values import section as part


def experiments(results: Results) -> Html:
    """Every entry of `experiments`; see docs/researcher.md for what one is."""
    blocks = [
        block
        for name, entry in part(results, "experiments").items()
        if isinstance(entry, Mapping)
        for block in _block(name, entry)
    ]
    names = [f"{numbers.EXPERIMENT}{name}" for name in part(results, "experiments")]
    return section("experiments", "Experiments", [*blocks, numbers.download(results, *names)] if blocks else [])


def _block(name: str, entry: Mapping[str, object]) -> Iterator[Html]:
    title = str(entry.get("title") or name)
    yield tag("h3", title)
    if entry.get("finding"):
        yield paragraph(str(entry["finding"]))
    data = entry.get("figure")
    if isinstance(data, Mapping) and is_drawable(data):
        yield grid([figure(drawn(f"experiment-{name}", title, data))], "wide")
    columns, rows = entry.get("columns"), entry.get("rows")
    if isinstance(columns, Sequence) and isinstance(rows, Sequence) and rows:
        made = table([str(column) for column in columns], [[_cell(cell) for cell in row] for row in rows])
        yield details("In numbers", made) if len(rows) > 12 else made


def _cell(raw: object) -> Cell:
    value = number(raw)
    if value is None:
        return cells.DASH if raw is None else str(raw)
    return f"{raw}" if isinstance(raw, int) else f"{value:.3f}"
