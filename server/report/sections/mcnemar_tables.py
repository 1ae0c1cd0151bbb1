"""Rows of McNemar's tests, wherever two classifiers, or a classifier and a reader, saw the same lesions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from server.report import cells
from server.report.cells import Cell, Row
from server.report.values import PLACE_TITLES, Results, estimate, lookup, number, short_title, whole

SIGNIFICANT = 0.05


def pair_rows(results: Results, places: list[str]) -> list[Row]:
    """Every pair on the given cohorts or pools; none where no two were asked together. See `pages/pairs.html`."""
    return [row for place in places for row in _rows(results, place)]


def _rows(results: Results, place: str) -> Iterator[Row]:
    for pair in lookup(results, "pairs", place) or []:
        names = [short_title(str(pair.get(side))) for side in ("first", "second")]
        only = [cells.format_count(whole(pair.get(side))) for side in ("first_only", "second_only")]
        difference = cells.format_difference(estimate(pair.get("difference")))
        n = cells.format_lesions(whole(pair.get("n")))
        verdict = format_equivalence(lookup(pair, "equivalence"))
        yield [PLACE_TITLES.get(place, place), *names, n, difference, verdict, *only, *p_cells(pair)]


def format_equivalence(found: object) -> Cell:
    """Whether a difference is shown to be within the margin, with its 90 % interval; a dash where it was not tested."""
    margin, low, high = (number(lookup(found, key)) for key in ("margin", "low", "high"))
    if margin is None or low is None or high is None:
        return cells.NONE
    shown, apart = (lookup(found, key) is True for key in ("equivalent", "different"))
    text = f"within ±{margin:g}" if shown else "different" if apart else f"not shown within ±{margin:g}"
    return Cell(text, (f"90 %: {low:+.3f} to {high:+.3f}",), "strong" if shown else "")


def count_tests(results: Results, places: list[str]) -> int | None:
    """Of how many tests the pairs of these places are part."""
    counts = [whole(pair.get("tests")) for place in places for pair in lookup(results, "pairs", place) or []]
    return next((count for count in counts if count is not None), None)


def p_cells(test: Mapping[str, Any] | None) -> tuple[Cell, Cell]:
    """The p of a test, and that by Holm, which is bold where it is significant; dashes without a test."""
    raw, holm = p_cell(test), number(lookup(test, "p_holm"))
    if holm is None:
        return raw, cells.NONE
    return Cell(raw.text), Cell(_format_p(holm), kind="strong" if holm < SIGNIFICANT else "")


def _format_p(p: float) -> str:
    return "<0.001" if p < 0.001 else f"{p:.3f}"


def p_cell(test: Mapping[str, Any] | None) -> Cell:
    """The p of a test with that by Holm below, bold where the latter is significant; a dash without one."""
    p = number(lookup(test, "p"))
    if p is None:
        return cells.NONE
    mark = " χ²" if lookup(test, "test") == "chi-square" else ""
    holm = number(lookup(test, "p_holm"))
    below = () if holm is None else (f"Holm {_format_p(holm)}",)
    return Cell(_format_p(p) + mark, below, kind="strong" if (p if holm is None else holm) < SIGNIFICANT else "")
