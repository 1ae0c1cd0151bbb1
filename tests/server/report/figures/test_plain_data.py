"""Figures from data: every kind draws every point, and the same numbers give the same bytes."""

from __future__ import annotations

from typing import Any

import pytest

from server.report.figures.plain_data import render_figure

POINT = {"label": "a", "value": 0.5, "low": 0.4, "high": 0.6}
FIGURES: dict[str, dict[str, Any]] = {
    "lines": {
        "kind": "lines",
        "xlabel": "epochs",
        "ylabel": "accuracy",
        "series": [{"label": "s", "points": [{**POINT, "x": 1}, {**POINT, "x": 2, "low": None, "high": None}]}],
    },
    "intervals": {
        "kind": "intervals",
        "xlabel": "accuracy",
        "points": [
            {**POINT, "group": "first", "samples": [0.4, 0.5, 0.6]},
            {**POINT, "label": "b", "group": "second", "value": None, "low": None, "high": None},
        ],
        "line": {"value": 0.55, "label": "original"},
    },
    "matrix": {
        "kind": "matrix",
        "xlabel": "lesions of",
        "ylabel": "model of",
        "rows": ["federated", "site-01"],
        "columns": ["test (9)"],
        "values": [[0.87], [None]],
        "flagged": [[True], [True]],
    },
}
TEXTS = {
    "lines": ["epochs", "accuracy"],
    "intervals": ["first", "second", "original", "0.500", "no lesion"],
    "matrix": ["federated", "site-01", "test (9)", "87*", "–"],
}


@pytest.mark.parametrize("kind", FIGURES)
def test_a_figure_says_what_its_data_say(kind: str) -> None:
    picture = render_figure("some_name", "Title", FIGURES[kind])
    assert picture == render_figure("some_name", "Title", FIGURES[kind])
    assert 'aria-label="Title"' in picture
    assert all(text in picture for text in TEXTS[kind])
    assert 'id="some-name-' in picture


def test_an_unknown_kind_is_no_figure() -> None:
    with pytest.raises(KeyError):
        render_figure("x", "t", {"kind": "pie"})


def test_no_line_runs_through_a_heading() -> None:
    """Each heading has a white ground of its own, drawn after the grid and the line of all."""
    data = FIGURES["intervals"]
    plain = {**data, "points": [{key: value for key, value in p.items() if key != "group"} for p in data["points"]]}
    with_headings, without = (render_figure("x", "t", one) for one in (data, plain))
    white = [one.count("fill: #ffffff") for one in (with_headings, without)]
    assert white[0] - white[1] == 2
    for heading in ("first", "second"):
        assert with_headings.index("stroke-dasharray") < with_headings.index(f">{heading}<")
