"""The numbers of the report as CSV: one row a number or an estimate, with the path to it in results.json."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from typing import Any

from ceus_models.runtime.csv_cells import format_csv
from server.report.values import Results, lookup, number, section

HEAD = ("of", "value", "low", "high", "n", "resolution")
_PARTS: Mapping[str, str] = {
    "cohorts": "table1",
    "cohorts-tests": "table1_tests",
    "modules": "nets",
    "models": "cohorts",
    "pairs": "pairs",
    "sites": "sites",
    "subgroups": "subgroups",
    "readers": "readers",
    "misdiagnoses": "misdiagnoses",
    "comparison": "comparison",
    "flow": "flow",
    "flow-intake": "intake",
    "missing": "missing",
    "use": "use",
    "heterogeneity": "heterogeneity",
    "gaps": "gaps",
}
"""Name of a table → where its numbers stand in the results."""
EXPERIMENT = "experiment-"
Row = tuple[Any, ...]


def format_tables(results: Results) -> dict[str, str]:
    """Every table that the results have numbers for, as CSV text by name; experiments have columns of their own."""
    names = [*_PARTS, *(f"{EXPERIMENT}{name}" for name in section(results, "experiments"))]
    return {name: text for name in names if (text := _table(results, name))}


def _table(results: Results, name: str) -> str:
    if name in _PARTS:
        rows = list(_rows(lookup(results, _PARTS[name]), ()))
        return _format_csv(HEAD, rows) if rows else ""
    entry = section(results, "experiments", name.removeprefix(EXPERIMENT))
    return _format_csv(entry.get("columns") or (), entry["rows"]) if entry.get("rows") else ""


def build_links(made: Mapping[str, str], beginnings: tuple[str, ...]) -> list[tuple[str, str]]:
    """File name and data URI of the tables whose names begin so: they lie in the page, no network is needed."""
    chosen = [(name, text) for name, text in made.items() if name.startswith(beginnings)]
    return [
        (f"{name}.csv", f"data:text/csv;base64,{base64.b64encode(text.encode()).decode()}") for name, text in chosen
    ]


def _rows(raw: object, path: tuple[str, ...]) -> Iterator[Row]:
    if isinstance(raw, Mapping) and "value" in raw:
        yield (" / ".join(path), *(number(raw.get(key)) for key in HEAD[1:]))
    elif isinstance(raw, Mapping):
        for key, inner in raw.items():
            yield from _rows(inner, (*path, str(key)))
    elif isinstance(raw, list):  # pairs; plain lists are curves and matrices, which are drawn
        for entry in raw:
            names = [str(entry[side]) for side in ("first", "second")] if lookup(entry, "second") else []
            yield from _rows(entry, (*path, " against ".join(names))) if isinstance(entry, Mapping) else ()
    elif number(raw) is not None:
        yield (" / ".join(path), number(raw), *[None] * (len(HEAD) - 2))


def _format_csv(head: Any, rows: Any) -> str:
    return format_csv([head, *rows], "\n")
