"""The answer as one page of HTML: no script, no network, readable on a narrow window and printable as it is."""

from __future__ import annotations

import base64
import io

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from ceus_models.bundle.model_bundle import Bundle
from ceus_models.bundle.model_card import RESEARCH
from ceus_models.study.taxonomy import TYPE_WORDS
from ceus_models.web.templates import render, trust
from client.data.sheets.quality_sheet import draw_curve
from client.predict import wording as words
from client.predict.pictures import U8, Pictures, Strip, scale_bar
from client.predict.prediction import Prediction

_STRIPS = ("frames", "frames_cam", "flow", "flow_cam")


def page_of(prediction: Prediction, bundle: Bundle, pictures: Pictures) -> str:
    """The whole page. It holds the lesion's pseudonym: no name, no date, no path."""
    captions = words.captions(prediction, pictures)
    return render(
        "client.predict",
        "prediction.html",
        research=RESEARCH,
        prediction=prediction,
        headline=words.headline(prediction),
        why_other=words.why_other(prediction),
        types=[(name, TYPE_WORDS[name], p) for name, p in sorted(prediction.probabilities.items(), key=_descending)],
        percent=words.percent,
        points=words.points,
        contribution_heading=words.contribution_heading(prediction),
        contributions=words.contribution_rows(prediction),
        curve_heading=words.curve_heading(prediction),
        curve=trust(_curve(prediction)),
        curve_parameters=words.curve_parameters(prediction),
        strips=[(captions[name], _cells(getattr(pictures, name))) for name in _STRIPS],
        scale=(captions["scale"], _png(scale_bar(192, 8))),
        footing=words.footing(bundle),
    )


def _descending(row: tuple[str, float]) -> float:
    return -row[1]


def _curve(prediction: Prediction) -> str:
    figure = Figure(figsize=(11, 2.5), facecolor="white")
    axes = figure.add_axes((0.05, 0.11, 0.94, 0.78))
    draw_curve(axes, prediction.lesion.trace)
    axes.set_title("", loc="left")  # the page has a heading
    axes.legend(fontsize=8, frameon=False, ncols=8, loc="lower left", bbox_to_anchor=(0.0, 1.0), borderaxespad=0.2)
    drawn = io.StringIO()
    FigureCanvasAgg(figure)
    figure.savefig(drawn, format="svg", metadata={"Date": None, "Creator": None})
    text = drawn.getvalue()
    return text[text.index("<svg") :]


def _cells(strip: Strip) -> list[tuple[str, str]]:
    """(data URI, title) of each picture."""
    return [(_png(picture), title) for picture, title in zip(strip.pictures, strip.titles, strict=True)]


def _png(picture: U8) -> str:
    """A data URI."""
    content = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(picture)).save(content, format="PNG", compress_level=4)
    return f"data:image/png;base64,{base64.b64encode(content.getvalue()).decode()}"
