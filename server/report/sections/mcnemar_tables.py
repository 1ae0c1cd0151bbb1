"""Rows of McNemar's tests, wherever two classifiers, or a classifier and a reader, saw the same lesions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from server.report import cells
from server.report.cells import Cell, Row
from server.report.values import CLASSIFIER_TITLES, PLACE_TITLES, Results, estimate, lookup, number, whole

SIGNIFICANT = 0.05


def pair_rows(results: Results, places: list[str]) -> list[Row]:
    """Every pair on the given cohorts or pools; none where no two were asked together. See `pages/pairs.html`."""
    return [row for place in places for row in _rows(results, place)]


def _rows(results: Results, place: str) -> Iterator[Row]:
    for pair in lookup(results, "pairs", place) or []:
        names = [CLASSIFIER_TITLES.get(str(pair.get(side)), str(pair.get(side))) for side in ("first", "second")]
        only = [cells.format_count(whole(pair.get(side))) for side in ("first_only", "second_only")]
        difference = cells.format_difference(estimate(pair.get("difference")))
        n = cells.format_lesions(whole(pair.get("n")))
        yield [PLACE_TITLES.get(place, place), *names, n, difference, *only, p_cell(pair)]


def p_cell(test: Mapping[str, Any] | None) -> Cell:
    """The p of a test, bold where it is significant; a dash without one."""
    p = number(lookup(test, "p"))
    if p is None:
        return cells.NONE
    text = "<0.001" if p < 0.001 else f"{p:.3f}"
    mark = " χ²" if lookup(test, "test") == "chi-square" else ""
    return Cell(text + mark, kind="strong" if p < SIGNIFICANT else "")
