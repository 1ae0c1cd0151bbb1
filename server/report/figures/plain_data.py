"""A figure from plain data, as experiments leave it: lines over an axis, values with intervals, or a matrix."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ceus_models.figures.canvas import Draw, Frame, render_svg
from ceus_models.figures.palette import FAINT, INK, series_look
from server.report.figures.panels import SMALL, draw_cells, draw_interval, ink_on, label_rows, write_missing

_ROW_IN = 0.3
_CELL_IN = (0.28, 0.22)
_MATRIX_LEAST_IN = 4.4
"""A figure is as wide as its column of the page: a narrow one would be enlarged, text and all."""


def render_figure(name: str, title: str, figure: Mapping[str, Any]) -> str:
    """SVG. figure: see docs/researcher.md. Raises KeyError for another kind."""
    frame, draw = _KINDS[str(figure["kind"])](figure)
    return render_svg(re.sub(r"[^A-Za-z0-9-]", "-", name), title, frame, draw) + "\n"


def is_drawable(figure: object) -> bool:
    """Whether `figure` is of a kind that `render_figure` knows."""
    return isinstance(figure, Mapping) and figure.get("kind") in _KINDS


def _lines(data: Mapping[str, Any]) -> tuple[Frame, Draw]:
    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        for index, series in enumerate(data["series"]):
            style, points = series_look(index), series["points"]
            x, y = [p["x"] for p in points], [p["value"] for p in points]
            axes.plot(x, y, color=style.colour, linestyle=style.line, marker=style.marker, label=series["label"])
            known = [p for p in points if p["low"] is not None]
            for p in known:
                axes.plot([p["x"]] * 2, [p["low"], p["high"]], color=style.colour, linewidth=0.9, alpha=0.7)
        axes.set(xlabel=data["xlabel"], ylabel=data["ylabel"])
        axes.grid(True, axis="y")
        axes.set_axisbelow(True)
        if len(data["series"]) > 1:
            axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=min(4, len(data["series"])))

    legend = 0.3 * (len(data["series"]) > 1)
    return Frame(4.6, 3.0 + legend, left=0.66, bottom=0.45 + legend, top=0.12), draw


def _intervals(data: Mapping[str, Any]) -> tuple[Frame, Draw]:
    points = data["points"]
    groups = list(dict.fromkeys(p.get("group", "") for p in points))
    headings = [group for group in groups if group]

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        y, ticks = 0.0, []
        for group in groups:
            if group:
                box = {"boxstyle": "square,pad=0.25", "facecolor": "white", "edgecolor": "none"}
                text = axes.text(0.0, y, group, weight="bold", va="center", transform=axes.get_yaxis_transform())
                text.set(bbox=box, zorder=4)  # over the grid and the line of all, which would strike it through
                y += 1.0
            members = [p for p in points if p.get("group", "") == group]
            for index, point in enumerate(members):
                _interval(axes, y, point, index)
                ticks.append((y, textwrap.fill(point["label"], 26)))
                y += 1.0
        if data.get("line"):
            line = data["line"]
            axes.plot([line["value"]] * 2, [-0.6, y - 0.4], color=INK, linestyle=":", linewidth=1.2)
            axes.text(line["value"], -1.0, line["label"], ha="center", va="center", fontsize=SMALL)
        label_rows(axes, ticks, (y - 0.4, -1.5 if data.get("line") else -0.7), data["xlabel"])

    rows = len(points) + len(headings) + bool(data.get("line"))
    return Frame(5.0, 0.75 + _ROW_IN * rows, left=1.75, right=0.5, top=0.1), draw


def _interval(axes: Axes, y: float, point: Mapping[str, Any], index: int) -> None:
    """A point with its interval; behind it, where they are known, the single values as faint strokes."""
    value = point["value"]
    if value is None:
        write_missing(axes, y, point.get("missing", "no lesion"))
        return
    if point.get("samples"):
        axes.plot(point["samples"], [y] * len(point["samples"]), "|", color=FAINT, markersize=9, alpha=0.5)
    interval = (point["low"], value, point["high"])
    draw_interval(axes, y, interval, series_look(point.get("look", index)), f"point-{y:.0f}")


def _matrix(data: Mapping[str, Any]) -> tuple[Frame, Draw]:
    rows, columns = data["rows"], data["columns"]

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        draw_cells(axes, np.array(data["values"], dtype=np.float64), rows, columns)
        for r, line in enumerate(data["values"]):
            for c, value in enumerate(line):
                text = "–" if value is None else f"{100 * value:.0f}{'*' if data['flagged'][r][c] else ''}"
                axes.text(c + 0.5, r + 0.5, text, ha="center", va="center", fontsize=6, color=ink_on(value or 0.0))
        axes.tick_params(labelsize=6.5, pad=2)
        axes.tick_params(axis="x", rotation=90)
        figure.text(0.05 / width, 0.05 / height, f"row: {data['ylabel']} · column: {data['xlabel']}", fontsize=7)

    cells = _CELL_IN[0] * len(columns), _CELL_IN[1] * len(rows)
    left, below = (0.3 + 0.056 * max(map(len, names)) for names in (rows, columns))
    width, height = max(_MATRIX_LEAST_IN, left + cells[0] + 0.1), below + cells[1] + 0.1
    return Frame(width, height, left=left, right=width - left - cells[0], bottom=below, top=0.1), draw


_KINDS: Mapping[str, Callable[[Mapping[str, Any]], tuple[Frame, Draw]]] = {
    "lines": _lines,
    "intervals": _intervals,
    "matrix": _matrix,
}
