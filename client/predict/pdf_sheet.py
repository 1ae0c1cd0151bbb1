"""The answer as one page of PDF, A4 upright."""

from __future__ import annotations

import io
import textwrap

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ceus_models.bundle.model_bundle import Bundle
from ceus_models.bundle.model_card import RESEARCH
from client.data.sheets.drawing import BAD, INK, PALE, bare, row_of
from client.data.sheets.quality_sheet import draw_curve
from client.predict import wording as words
from client.predict.pictures import Pictures, Strip, scale_bar
from client.predict.prediction import Prediction

_WIDE, _HIGH = 8.27, 11.69
_STRIPS = ("frames", "frames_cam", "flow", "flow_cam")
_MOST_LINES = 9
_LINE, _BOLD = 128, 108
_BAR, _AGAINST = "#0b5394", "#d97706"


def sheet_of(prediction: Prediction, bundle: Bundle, pictures: Pictures) -> bytes:
    """The file's content. It holds the lesion's pseudonym: no name, no date, no path."""
    figure = Figure(figsize=(_WIDE, _HIGH), facecolor="white")
    top = _head(figure, prediction)
    columns = figure.add_gridspec(
        2, 1, height_ratios=(0.6, 1), hspace=0.5, top=top, bottom=0.585, left=0.10, right=0.30
    )
    _types(figure.add_subplot(columns[0]), prediction)
    _nets(figure.add_subplot(columns[1]), prediction)
    _contributions(figure.add_axes((0.74, 0.585, 0.20, top - 0.585)), prediction)
    curve = figure.add_axes((0.06, 0.462, 0.91, 0.08))
    draw_curve(curve, prediction.lesion.trace)
    curve.legend(fontsize=6, frameon=False, ncols=8, loc="lower right", bbox_to_anchor=(1.0, 1.0), borderaxespad=0.2)
    curve.tick_params(labelsize=6)
    _title(curve, words.curve_heading(prediction))
    figure.text(0.06, 0.433, words.curve_parameters(prediction), fontsize=6.5, color=INK)
    captions = words.captions(prediction, pictures)
    for place, name in enumerate(_STRIPS):
        _strip(figure.add_axes((0.06, 0.340 - 0.0945 * place, 0.91, 0.065)), captions[name], getattr(pictures, name))
    _scale(figure, captions["scale"])
    figure.text(0.06, 0.012, f"{words.footing(bundle)}\n{RESEARCH}", fontsize=6, color=INK, va="bottom")
    content = io.BytesIO()
    FigureCanvasAgg(figure)
    figure.savefig(content, format="pdf", metadata={"Title": "fedceus", "CreationDate": None})
    return content.getvalue()


def _head(figure: Figure, prediction: Prediction) -> float:
    """Notice, answer and cautions; where the next thing may begin."""
    figure.text(0.06, 0.978, RESEARCH, fontsize=8, color=INK, va="top", weight="bold")
    figure.text(0.06, 0.958, f"Lesion {prediction.lesion.sample.key}", fontsize=8, color=INK, va="top")
    figure.text(0.06, 0.942, words.headline(prediction), fontsize=13, color=INK, va="top", weight="bold")
    at = 0.916
    if why := words.why_other(prediction):
        figure.text(0.06, at, why, fontsize=8, color=INK, va="top")
        at -= 0.014
    serious, lines = _cautions(prediction)
    for place, line in enumerate(lines):
        colour, weight = (BAD, "bold") if place < serious else (INK, "normal")
        figure.text(0.06, at, line, fontsize=7.5, color=colour, weight=weight, va="top")
        at -= 0.0125
    return at - 0.03


def _cautions(prediction: Prediction) -> tuple[int, list[str]]:
    """How many lines are serious, and all lines; what does not fit is in the JSON file."""
    serious = [
        line for one in prediction.cautions if one.serious for line in textwrap.wrap(f"Warning: {one.text}", _BOLD)
    ]
    others = "; ".join(one.text for one in prediction.cautions if not one.serious)
    lines = [*serious, *textwrap.wrap(others[:1].upper() + others[1:], _LINE)]
    if len(lines) > _MOST_LINES:
        lines = [*lines[: _MOST_LINES - 1], "There is more to mind: see the page or the JSON file."]
    return len(serious), lines


def _types(axes: Axes, prediction: Prediction) -> None:
    rows = sorted(prediction.probabilities.items(), key=lambda item: item[1])
    _bars(axes, [name for name, _ in rows], [p for _, p in rows], [words.percent(p) for _, p in rows])
    _title(axes, f"Probabilities of the six types ({prediction.model})")


def _nets(axes: Axes, prediction: Prediction) -> None:
    nets = prediction.nets[::-1]
    told = [
        f"{words.percent(n.probability)}  (frames {100 * n.spatial:.0f}, flow {100 * n.temporal:.0f}; "
        f"{100 * n.spatial_weight:.0f} : {100 * (1 - n.spatial_weight):.0f})"
        for n in nets
    ]
    _bars(axes, [n.net.partition("/")[2] for n in nets], [n.probability for n in nets], told)
    for place, net in enumerate(nets):
        axes.plot([net.threshold] * 2, [place - 0.4, place + 0.4], color=INK, linewidth=1)
    _title(axes, "The nine nets: probability, threshold (line), what each\nbranch says (%), weight of frames : flow")


def _contributions(axes: Axes, prediction: Prediction) -> None:
    rows = words.contribution_rows(prediction)[::-1]
    added = [100 * share for _, _, share in rows]
    places = range(len(rows))
    axes.barh(places, added, color=[_BAR if share >= 0 else _AGAINST for share in added], height=0.7)
    for place, share in zip(places, added, strict=True):
        axes.annotate(
            words.points(share / 100),
            (max(share, 0), place),
            (3, 0),
            textcoords="offset points",
            fontsize=6,
            va="center",
        )
    axes.axvline(0, color=INK, linewidth=0.8)
    axes.set_yticks(list(places), [f"{part} {value}" if value else part for part, value, _ in rows], fontsize=6.5)
    axes.set_xticks([])
    axes.margins(x=0.14)
    bare(axes)
    heading = "\n".join(textwrap.wrap(words.contribution_heading(prediction), 58))
    axes.annotate(heading, (0, 1), (-118, 4), "axes fraction", "offset points", fontsize=8, color=INK, va="bottom")


def _bars(axes: Axes, names: list[str], shares: list[float], told: list[str]) -> None:
    """Shares 0-1 from the lowest place up."""
    places = list(range(len(names)))
    axes.barh(places, [1.0] * len(names), color="#eef2f6", height=0.7)
    axes.barh(places, shares, color=_BAR, height=0.7)
    for place, text in zip(places, told, strict=True):
        axes.annotate(text, (1, place), (4, 0), textcoords="offset points", fontsize=6.5, va="center", color=INK)
    axes.set_yticks(places, names, fontsize=7)
    axes.set_xticks([])
    axes.set_xlim(0, 1)
    bare(axes)


def _title(axes: Axes, text: str) -> None:
    axes.set_title(text, fontsize=8, loc="left", color=INK, pad=3)


def _strip(axes: Axes, title: str, strip: Strip) -> None:
    _title(axes, title)
    axes.set_yticks([])
    bare(axes)
    if not strip.pictures:
        return
    axes.imshow(row_of(strip.pictures, 255) / 255, interpolation="nearest", aspect="equal")
    width = strip.pictures[0].shape[1] + 3
    axes.set_xticks([width * (place + 0.5) for place in range(len(strip.titles))], strip.titles, fontsize=6)
    axes.tick_params(pad=1, colors=INK)


def _scale(figure: Figure, text: str) -> None:
    axes = figure.add_axes((0.06, 0.038, 0.2, 0.008))
    axes.imshow(scale_bar(192, 4), aspect="auto")
    axes.set(xticks=[], yticks=[])
    for side in axes.spines.values():
        side.set_color(PALE)
    figure.text(0.27, 0.042, text, fontsize=6.5, color=INK, va="center")
