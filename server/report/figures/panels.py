"""Panels that several figures of the report have: the unit square, rows with intervals, and cells with numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ceus_models.figures.canvas import Frame, hide_frame
from ceus_models.figures.palette import FAINT, INK, Look

SQUARE = Frame(3.6, 4.45, bottom=1.11)
"""A panel with axes of equal length and its legend below."""
SMALL = 7.5
"""Size of what explains a panel."""


def add_unit_square(figure: Figure, title: str, xlabel: str, ylabel: str) -> Axes:
    """Axes from 0 to 1 both ways with their diagonal, for the frame `SQUARE`."""
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color=FAINT, linewidth=0.8)
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal", title=title, xlabel=xlabel, ylabel=ylabel)
    axes.grid(True)
    return axes


def legend_below(axes: Axes, title: str) -> None:
    """A legend under a panel of the frame `SQUARE`, where it covers no curve, wherever the curves go."""
    below: dict[str, Any] = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.15), "ncols": 3}
    small: dict[str, Any] = {"fontsize": SMALL, "title_fontsize": SMALL, "labelspacing": 0.25, "columnspacing": 1.2}
    axes.legend(title=title, **below, **small)


def thin_curve(
    x: Sequence[float], y: Sequence[float], most: int = 160
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """At most `most` points of a curve, first and last kept, spread evenly along its length."""
    xs, ys = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if len(xs) <= most:
        return xs, ys
    length = np.concatenate([[0.0], np.cumsum(np.hypot(np.diff(xs), np.diff(ys)))])
    wanted = np.linspace(0.0, length[-1], most)
    keep = np.unique(np.concatenate([[0, len(xs) - 1], np.searchsorted(length, wanted).clip(0, len(xs) - 1)]))
    return xs[keep], ys[keep]


def draw_interval(
    axes: Axes, y: float, interval: tuple[float | None, float, float | None], style: Look, gid: str
) -> None:
    """A dot at `value`, a line from `low` to `high` at height `y`, and the value in figures at the right.

    interval: (low, value, high); an end that is not known is the value.
    """
    value = interval[1]
    low, high = (value if end is None else end for end in (interval[0], interval[2]))
    (line,) = axes.plot([low, high], [y, y], color=style.colour, linewidth=1.6, solid_capstyle="butt")
    line.set_gid(gid)
    axes.plot([value], [y], linestyle="none", marker=style.marker, color=style.colour, markersize=5.5)
    axes.text(1.01, y, f"{value:.3f}", transform=axes.get_yaxis_transform(), va="center", fontsize=SMALL)


def write_missing(axes: Axes, y: float, text: str) -> None:
    """Where a row has no value."""
    axes.text(0.5, y, text, color=FAINT, transform=axes.get_yaxis_transform(), va="center")


def label_rows(axes: Axes, rows: Sequence[tuple[float, str]], ends: tuple[float, float], xlabel: str) -> None:
    """Name the rows of intervals, which stand between `ends` from bottom to top, over a grid of values."""
    axes.set_yticks([y for y, _ in rows], [label for _, label in rows])
    axes.set_ylim(*ends)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set_xlabel(xlabel, fontsize=SMALL)
    axes.grid(True, axis="x")
    axes.set_axisbelow(True)


def draw_cells(axes: Axes, shares: npt.NDArray[np.float64], rows: Sequence[str], columns: Sequence[str]) -> None:
    """Shares 0..1 (row column) as shades of blue, NaN as none; labels at their middles, the first row at the top."""
    axes.pcolormesh(np.ma.masked_invalid(shares), cmap="Blues", vmin=0, vmax=1, edgecolors="white", linewidth=1.0)
    axes.set_xticks(np.arange(len(columns)) + 0.5, columns)
    axes.set_yticks(np.arange(len(rows)) + 0.5, rows)
    axes.invert_yaxis()
    hide_frame(axes)


def ink_on(share: float) -> str:
    """The colour of a number in a cell of `draw_cells`."""
    return "white" if share > 0.55 else INK
