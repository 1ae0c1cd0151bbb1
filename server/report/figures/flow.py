"""The flow of one cohort as a diagram: what was listed, what left and why at the side, and what was counted."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from ceus_models.figures.canvas import Frame, render_svg
from ceus_models.figures.palette import FAINT, INK, WASH
from server.report.figures.panels import SMALL

_LINE_IN, _GAP_IN, _PAD_IN, _TITLE_IN = 0.16, 0.14, 0.07, 0.3
_WIDTH_IN = 3.5
_LETTERS_IN = 0.058
"""Room for a letter, wide enough for the fonts of any reader."""


@dataclass(frozen=True)
class _Column:
    """Where boxes stand: left edge and width, inches."""

    left: float
    width: float

    @property
    def middle(self) -> float:
        return self.left + self.width / 2

    def wrap(self, line: str) -> list[str]:
        return textwrap.wrap(line, int((self.width - 2 * _PAD_IN) / _LETTERS_IN), subsequent_indent="  ") or [""]


_WAY, _SIDE = _Column(0.03, 1.5), _Column(1.67, 1.8)
"""Boxes on the way down, and those of what leaves it."""


@dataclass(frozen=True)
class _Box:
    lines: Sequence[str]
    leaves: bool
    top: float

    @property
    def height(self) -> float:
        return _LINE_IN * len(self.lines) + 2 * _PAD_IN

    @property
    def middle(self) -> float:
        return self.top + self.height / 2

    @property
    def column(self) -> _Column:
        return _SIDE if self.leaves else _WAY


def flow_figure(cohort: str, title: str, steps: Sequence[tuple[str, bool]]) -> str:
    """Boxes from top to bottom with arrows between them, those of what leaves the flow at the side.

    Args:
        cohort: of the flow; part of the drawing's name.
        title: the cohort's.
        steps: the text of each box, of one or more lines, and whether its lesions leave the flow there.
    """
    boxes = _place_boxes(steps)
    height = boxes[-1].top + boxes[-1].height + 0.05

    def draw(figure: Figure) -> None:
        axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
        axes.set(xlim=(0, _WIDTH_IN), ylim=(height, 0))
        axes.set_axis_off()
        axes.text(_WAY.left, _TITLE_IN / 2, title, weight="bold", va="center", fontsize=9)
        _draw_arrows(axes, boxes)
        for box in boxes:
            _draw_box(axes, box)

    about = "; ".join(text.replace("\n", ", ") for text, _ in steps)
    return render_svg(f"flow-{cohort}".replace("_", "-"), f"Flow of {title}: {about}", Frame(_WIDTH_IN, height), draw)


def _place_boxes(steps: Sequence[tuple[str, bool]]) -> list[_Box]:
    boxes: list[_Box] = []
    top = _TITLE_IN
    for text, leaves in steps:
        column = _SIDE if leaves else _WAY
        lines = [piece for line in text.split("\n") for piece in column.wrap(line)]
        boxes.append(_Box(lines, leaves, top))
        top += boxes[-1].height + _GAP_IN
    return boxes


def _draw_arrows(axes: Axes, boxes: Sequence[_Box]) -> None:
    way = [box for box in boxes if not box.leaves]
    down = [((_WAY.middle, a.top + a.height), (_WAY.middle, b.top)) for a, b in pairwise(way)]
    aside = [((_WAY.middle, box.middle), (_SIDE.left, box.middle)) for box in boxes if box.leaves]
    if boxes[-1].leaves:  # the way ends there
        down.append(((_WAY.middle, way[-1].top + way[-1].height), (_WAY.middle, boxes[-1].middle)))
    for start, end in (*down, *aside):
        axes.annotate("", end, start, arrowprops={"arrowstyle": "-|>", "color": FAINT, "shrinkA": 0, "shrinkB": 0})


def _draw_box(axes: Axes, box: _Box) -> None:
    column = box.column
    ground = WASH if box.leaves else "white"
    axes.add_patch(
        Rectangle((column.left, box.top), column.width, box.height, facecolor=ground, edgecolor=FAINT, linewidth=0.8)
    )
    for place, line in enumerate(box.lines):
        y = box.top + _PAD_IN + (place + 0.5) * _LINE_IN
        axes.text(column.left + _PAD_IN, y, line, va="center", fontsize=SMALL, color=INK)
