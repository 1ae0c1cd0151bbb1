"""Tables of McNemar's tests, wherever two classifiers, or a classifier and a reader, saw the same lesions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from server.report import cells
from server.report.html import Cell, Html, paragraph, table
from server.report.values import CLASSIFIER_TITLES, PLACE_TITLES, Results, at, estimate, number

SIGNIFICANT = 0.05
_HEAD = ["Lesions of", "First", "Second", "n", "Difference in accuracy", "Only first right", "Only second right", "p"]
NOTE = (
    "McNemar's test on the same lesions: exact (binomial) below 25 lesions that only one of the two has right, else "
    "chi-square with continuity correction (marked χ²). Bold: p below 0.05. Difference: first minus second, with its "
    "paired 95 % interval."
)


def pairs_table(results: Results, places: list[str], caption: str) -> Html:
    """Every pair on the given cohorts or pools; nothing where no two were asked together."""
    rows = [row for place in places for row in _rows(results, place)]
    if not rows:
        return Html("")
    return Html(table(_HEAD, rows, caption) + paragraph(NOTE, "note"))


def _rows(results: Results, place: str) -> Iterator[list[Cell]]:
    for pair in at(results, "pairs", place) or []:
        names = [CLASSIFIER_TITLES.get(str(pair.get(side)), str(pair.get(side))) for side in ("first", "second")]
        only = [cells.count(_whole(pair.get(side))) for side in ("first_only", "second_only")]
        difference = cells.signed(estimate(pair.get("difference")))
        yield [
            PLACE_TITLES.get(place, place),
            *names,
            cells.lesions(_whole(pair.get("n"))),
            difference,
            *only,
            p_cell(pair),
        ]


def p_cell(test: Mapping[str, Any] | None) -> Html:
    """The p of a test, bold where it is significant; a dash without one."""
    p = number(at(test, "p"))
    if p is None:
        return Html(f"<td>{cells.DASH}</td>")
    shown = "&lt;0.001" if p < 0.001 else f"{p:.3f}"
    mark = " χ²" if at(test, "test") == "chi-square" else ""
    kind = ' class="best"' if p < SIGNIFICANT else ""
    return Html(f"<td{kind}>{shown}{mark}</td>")


def _whole(raw: object) -> int | None:
    found = number(raw)
    return None if found is None else int(found)
