"""The answer as one page of PDF, A4 upright."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ceus_models.figures.canvas import Frame, caption, hide_frame, render_pdf
from ceus_models.figures.palette import AGAINST, BAD, FOR, INK, WASH
from client.data.sheets.curve import draw_curve
from client.data.sheets.picture_strip import draw_strip
from client.predict.answer_view import AnswerView, NetRow, PartRow, TypeRow
from client.predict.cautions import Caution
from client.predict.pictures import SCALE_CAPTION, draw_scale_bar

_A4 = Frame(8.27, 11.69)
_LEFT = 0.06
_TITLE, _TEXT, _SMALL = 8, 7.5, 6.5
"""Points."""
_MOST_LINES = 9
_LINE, _BOLD = 128, 108


def render_sheet(view: AnswerView) -> bytes:
    """The file's content."""

    def draw(figure: Figure) -> None:
        top = _write_head(figure, view)
        columns = figure.add_gridspec(
            2, 1, height_ratios=(0.6, 1), hspace=0.5, top=top, bottom=0.585, left=0.10, right=0.30
        )
        _draw_types(figure.add_subplot(columns[0]), view.types_heading, view.types)
        _draw_nets(figure.add_subplot(columns[1]), view.nets)
        _draw_parts(figure.add_axes((0.74, 0.585, 0.20, top - 0.585)), view.parts_heading, view.parts)
        curve = figure.add_axes((_LEFT, 0.462, 0.91, 0.08))
        draw_curve(curve, view.trace, _SMALL)
        caption(curve, view.curve_heading, _TEXT)
        figure.text(_LEFT, 0.433, view.curve_parameters, fontsize=_SMALL)
        for place, strip in enumerate(view.strips):
            axes = figure.add_axes((_LEFT, 0.342 - 0.0945 * place, 0.91, 0.065))
            draw_strip(axes, strip.caption, strip.pictures, strip.titles, _SMALL)
        _draw_scale(figure)
        figure.text(_LEFT, 0.012, f"{view.made_by}\n{view.notice}", fontsize=6, va="bottom")

    return render_pdf(_A4, draw)


def _write_head(figure: Figure, view: AnswerView) -> float:
    """Notice, answer and cautions; where the next thing may begin."""
    figure.text(_LEFT, 0.978, view.notice, fontsize=_TITLE, va="top", weight="bold")
    figure.text(_LEFT, 0.958, f"Lesion {view.lesion}", fontsize=_TITLE, va="top")
    figure.text(_LEFT, 0.942, view.headline, fontsize=13, va="top", weight="bold")
    at = 0.916
    if view.explanation:
        figure.text(_LEFT, at, view.explanation, fontsize=_TITLE, va="top")
        at -= 0.014
    serious, lines = _wrap_cautions(view.cautions)
    for place, line in enumerate(lines):
        colour, weight = (BAD, "bold") if place < serious else (INK, "normal")
        figure.text(_LEFT, at, line, fontsize=_TEXT, color=colour, weight=weight, va="top")
        at -= 0.0125
    return at - 0.03


def _wrap_cautions(cautions: Sequence[Caution]) -> tuple[int, list[str]]:
    """How many lines are serious, and all lines; what does not fit is in the JSON file."""
    serious = [line for one in cautions if one.serious for line in textwrap.wrap(f"Warning: {one.text}", _BOLD)]
    others = "; ".join(one.text for one in cautions if not one.serious)
    lines = [*serious, *textwrap.wrap(others[:1].upper() + others[1:], _LINE)]
    if len(lines) > _MOST_LINES:
        lines = [*lines[: _MOST_LINES - 1], "There is more to mind: see the page or the JSON file."]
    return len(serious), lines


def _draw_types(axes: Axes, heading: str, rows: Sequence[TypeRow]) -> None:
    _draw_bars(axes, heading, [(row.name, row.share, row.text) for row in rows])


def _draw_nets(axes: Axes, rows: Sequence[NetRow]) -> None:
    heading = "The nine sub-models: probability, threshold (line), what each\nbranch says, weight of frames : flow"
    texts = [f"{row.text}  (frames {row.frames}, flow {row.flow}; {row.weights})" for row in rows]
    _draw_bars(axes, heading, [(row.name, row.share, text) for row, text in zip(rows, texts, strict=True)])
    for place, row in enumerate(rows):
        axes.plot([row.threshold] * 2, [place - 0.4, place + 0.4], color=INK, linewidth=1)


def _draw_parts(axes: Axes, heading: str, rows: Sequence[PartRow]) -> None:
    places = range(len(rows))
    axes.barh(
        places, [row.share for row in rows], color=[FOR if row.share >= 0 else AGAINST for row in rows], height=0.7
    )
    for place, row in enumerate(rows):
        _write_beside(axes, row.text, max(row.share, 0), place)
    axes.axvline(0, color=INK, linewidth=0.8)
    _name_rows(axes, [f"{row.name} {row.value}".strip() for row in rows])
    axes.margins(x=0.14)
    heading = textwrap.fill(heading, 58)
    axes.annotate(heading, (0, 1), (-118, 4), "axes fraction", "offset points", fontsize=_TITLE, va="bottom")


def _draw_bars(axes: Axes, heading: str, rows: Sequence[tuple[str, float, str]]) -> None:
    """rows: name, share 0-1, text at the right."""
    places = range(len(rows))
    axes.barh(places, [1.0] * len(rows), color=WASH, height=0.7)
    axes.barh(places, [share for _, share, _ in rows], color=FOR, height=0.7)
    for place, (_, _, text) in enumerate(rows):
        _write_beside(axes, text, 1, place)
    _name_rows(axes, [name for name, _, _ in rows])
    axes.set_xlim(0, 1)
    caption(axes, heading, _TITLE)


def _write_beside(axes: Axes, text: str, x: float, y: float) -> None:
    axes.annotate(text, (x, y), (4, 0), textcoords="offset points", fontsize=_SMALL, va="center")


def _name_rows(axes: Axes, names: Sequence[str]) -> None:
    """From the top down."""
    axes.set_yticks(range(len(names)), names, fontsize=_SMALL)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_xticks([])
    hide_frame(axes)


def _draw_scale(figure: Figure) -> None:
    axes = figure.add_axes((_LEFT, 0.038, 0.2, 0.008))
    axes.imshow(draw_scale_bar(192, 4), aspect="auto")
    axes.set(xticks=[], yticks=[])
    hide_frame(axes)
    figure.text(0.27, 0.042, SCALE_CAPTION, fontsize=_SMALL, va="center")
