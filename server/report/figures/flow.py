"""The flow of one cohort as a diagram: what was declared, what did not count and why, and what was counted."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ceus_models.figures.canvas import Frame, render_svg
from ceus_models.figures.palette import FAINT, INK, WASH
from server.report.figures.panels import SMALL

_LINE_IN, _GAP_IN, _MARGIN_IN = 0.16, 0.26, 0.12
_WIDTH_IN = 2.9
_LEFT, _RIGHT = 0.30, 0.76
"""Middles of the way down and of what leaves it, as shares of the width."""


def flow_figure(cohort: str, title: str, steps: Sequence[tuple[str, bool]]) -> str:
    """Boxes from top to bottom with arrows between them.

    Args:
        cohort: of the flow; part of the drawing's name.
        title: the cohort's.
        steps: the text of each box, of one or more lines, and whether its lesions leave the flow there.
    """
    heights = [_LINE_IN * (text.count("\n") + 1) + _MARGIN_IN for text, _ in steps]
    height = 0.35 + sum(heights) + _GAP_IN * (len(steps) - 1)

    def draw(figure: Figure) -> None:
        axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
        axes.set(xlim=(0, 1), ylim=(height, 0))
        axes.set_axis_off()
        axes.text(0.02, 0.16, title, weight="bold", va="center", fontsize=9)
        _draw_boxes(axes, steps, heights)

    about = "; ".join(text.replace("\n", ", ") for text, _ in steps)
    return render_svg(f"flow-{cohort}".replace("_", "-"), f"Flow of {title}: {about}", Frame(_WIDTH_IN, height), draw)


def _draw_boxes(axes: Axes, steps: Sequence[tuple[str, bool]], heights: Sequence[float]) -> None:
    top, last = 0.32, None
    kept = [place for place, (_, leaves) in enumerate(steps) if not leaves]
    for place, (text, leaves) in enumerate(steps):
        middle = top + heights[place] / 2
        box = {"boxstyle": "square,pad=0.35", "facecolor": WASH if leaves else "white", "edgecolor": FAINT}
        at = _RIGHT if leaves else _LEFT
        axes.text(at, middle, text, ha="center", va="center", fontsize=SMALL, color=INK, bbox=box, zorder=3)
        if leaves:
            axes.plot([_LEFT, at], [middle, middle], color=FAINT, linewidth=0.9, zorder=1)
        elif last is not None:
            axes.plot([_LEFT, _LEFT], [last, middle], color=FAINT, linewidth=0.9, zorder=1)
        last = middle if place in kept else last
        top += heights[place] + _GAP_IN
