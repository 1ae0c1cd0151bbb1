"""The report's section on experiments: each with its finding, its figure and its table, as it was left."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from server.report import cells
from server.report.figures.plain_data import is_drawable, render_figure
from server.report.values import Results, number, section


def experiments(results: Results) -> dict[str, Any]:
    """Every entry of `experiments`; see docs/researcher.md for what one is."""
    entries = section(results, "experiments").items()
    blocks = [_block(name, entry) for name, entry in entries if isinstance(entry, Mapping)]
    return {"blocks": blocks} if blocks else {}


def _block(name: str, entry: Mapping[str, Any]) -> dict[str, Any]:
    title = str(entry.get("title") or name)
    data, columns, rows = (entry.get(key) for key in ("figure", "columns", "rows"))
    whole = isinstance(columns, Sequence) and isinstance(rows, Sequence)
    return {
        "title": title,
        "finding": str(entry.get("finding") or ""),
        "figure": render_figure(f"experiment-{name}", title, data)
        if isinstance(data, Mapping) and is_drawable(data)
        else None,
        "columns": [str(column) for column in columns or ()] if whole else [],
        "rows": [[_cell(cell) for cell in row] for row in rows or ()] if whole else [],
    }


def _cell(raw: object) -> str:
    value = number(raw)
    if value is None:
        return cells.DASH if raw is None else str(raw)
    return f"{raw}" if isinstance(raw, int) else f"{value:.3f}"
