"""A figure from plain data, as experiments leave it: lines over an axis, values with intervals, or a matrix."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from server.report.figures.canvas import FAINT, INK, Frame, interval_row, look, svg

_DARK = 0.6
"""Above this value a cell of the matrix is dark, and its number white."""
_ROW_IN = 0.3


def drawn(name: str, title: str, figure: Mapping[str, Any]) -> str:
    """SVG. figure: see docs/researcher.md. Raises KeyError for another kind."""
    frame, draw = _KINDS[str(figure["kind"])](figure)
    return svg(name.replace("_", "-").replace("/", "-"), title, frame, draw) + "\n"


def is_drawable(figure: object) -> bool:
    """Whether `figure` is of a kind that `drawn` knows."""
    return isinstance(figure, Mapping) and figure.get("kind") in _KINDS


def _lines(data: Mapping[str, Any]) -> tuple[Frame, Any]:
    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        for index, series in enumerate(data["series"]):
            style, points = look(index), series["points"]
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

    return Frame(4.6, 3.3, left=0.6, bottom=0.75, top=0.12), draw


def _intervals(data: Mapping[str, Any]) -> tuple[Frame, Any]:
    points = data["points"]
    groups = list(dict.fromkeys(p.get("group", "") for p in points))
    headings = [group for group in groups if group]

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        y, ticks = 0.0, []
        for group in groups:
            if group:
                axes.text(0.0, y, group, weight="bold", va="center", transform=axes.get_yaxis_transform())
                y += 1.0
            members = [p for p in points if p.get("group", "") == group]
            for index, point in enumerate(members):
                _interval(axes, y, point, index)
                ticks.append((y, point["label"]))
                y += 1.0
        if data.get("line"):
            line = data["line"]
            axes.plot([line["value"]] * 2, [-0.6, y - 0.4], color=INK, linestyle=":", linewidth=1.2)
            axes.text(line["value"], -1.0, line["label"], ha="center", va="center", fontsize=7.5)
        axes.set_yticks([at for at, _ in ticks], [textwrap.fill(label, 26) for _, label in ticks])
        axes.set_ylim(y - 0.4, -1.5 if data.get("line") else -0.7)
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        axes.set_xlabel(data["xlabel"])
        axes.grid(True, axis="x")
        axes.set_axisbelow(True)

    rows = len(points) + len(headings) + bool(data.get("line"))
    return Frame(5.0, 0.75 + _ROW_IN * rows, left=1.75, right=0.5, top=0.1), draw


def _interval(axes: Axes, y: float, point: Mapping[str, Any], index: int) -> None:
    """A point with its interval; behind it, where they are known, the single values as faint strokes."""
    value = point["value"]
    if value is None:
        axes.text(
            0.5, y, point.get("missing", "no lesion"), color=FAINT, transform=axes.get_yaxis_transform(), va="center"
        )
        return
    if point.get("samples"):
        axes.plot(point["samples"], [y] * len(point["samples"]), "|", color=FAINT, markersize=9, alpha=0.5)
    low, high = (value if point[end] is None else point[end] for end in ("low", "high"))
    interval_row(axes, y, (low, value, high), look(point.get("look", index)), f"point-{y:.0f}")
    axes.annotate(f"{value:.3f}", (1.01, y), xycoords=axes.get_yaxis_transform(), va="center", fontsize=7.5)


def _matrix(data: Mapping[str, Any]) -> tuple[Frame, Any]:
    rows, columns = data["rows"], data["columns"]

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        shown = [[float("nan") if v is None else v for v in line] for line in data["values"]]
        axes.pcolormesh(shown, cmap="Blues", vmin=0, vmax=1, edgecolors="white", linewidth=0.6)
        for r, line in enumerate(data["values"]):
            for c, value in enumerate(line):
                small = data["flagged"][r][c]
                text = "–" if value is None else f"{100 * value:.0f}{'*' if small else ''}"
                dark = value is not None and value > _DARK
                axes.text(c + 0.5, r + 0.5, text, ha="center", va="center", fontsize=6, color="white" if dark else INK)
        axes.set_xticks([c + 0.5 for c in range(len(columns))], columns, rotation=90, fontsize=6.5)
        axes.set_yticks([r + 0.5 for r in range(len(rows))], rows, fontsize=6.5)
        axes.invert_yaxis()
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
        axes.set_xlabel(data["xlabel"], fontsize=7)
        axes.set_ylabel(data["ylabel"], fontsize=7)

    width, height = 1.6 + 0.24 * len(columns), 1.6 + 0.19 * len(rows)
    return Frame(width, height, left=1.4, right=0.1, bottom=1.4, top=0.1), draw


_KINDS: Mapping[str, Callable[[Mapping[str, Any]], tuple[Frame, Any]]] = {
    "lines": _lines,
    "intervals": _intervals,
    "matrix": _matrix,
}
