"""The report's section of reporting checklists, filled as far as the run knows."""

from __future__ import annotations

from typing import Any

from server.report.cells import Cell
from server.report.checklists.checklist import NAMES, OPEN, fill_item, load_checklist
from server.report.values import Results, lookup


def checklists(results: Results) -> dict[str, Any]:
    """Each list with its answers; nothing for results without any site."""
    if not lookup(results, "participation"):
        return {}
    return {"lists": [_fill(name, results) for name in NAMES]}


def _fill(name: str, results: Results) -> dict[str, Any]:
    checklist = load_checklist(name)
    rows, answered = [], 0
    for item in checklist.items:
        found, wanted = fill_item(item, results)
        answered += bool(found)
        left = f"{OPEN}: {wanted}" if wanted and not found else wanted
        texts = (text.replace("`", "") for text in (item.topic, found, left))
        rows.append([item.number, *(Cell(text, kind="text") for text in texts)])
    return {
        "title": checklist.title,
        "source": checklist.source.strip(),
        "rows": rows,
        "answered": answered,
        "file": f"{name}.md",
    }
