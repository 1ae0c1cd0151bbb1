"""The answer as one page of HTML: no script, no network, readable on a narrow window and printable as it is."""

from __future__ import annotations

import base64
import io

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from ceus_models.figures.canvas import Frame, render_svg
from ceus_models.web.templates import render
from client.data.imaging.recording import U8
from client.data.sheets.curve import draw_curve
from client.predict.answer_view import AnswerView
from client.predict.pictures import SCALE_CAPTION, Strip, draw_scale_bar


def render_page(view: AnswerView) -> str:
    """The whole page."""

    def draw(figure: Figure) -> None:
        draw_curve(figure.add_axes((0.05, 0.11, 0.94, 0.74)), view.trace)

    return render(
        "client.predict",
        "prediction.html",
        view=view,
        curve=render_svg("curve", view.curve_heading, Frame(11, 2.7), draw),
        strips=[(strip.caption, _list_cells(strip)) for strip in view.strips],
        scale=(SCALE_CAPTION, _encode_png(draw_scale_bar(192, 8))),
    )


def _list_cells(strip: Strip) -> list[tuple[str, str]]:
    """(data URI, title) of each picture."""
    return [(_encode_png(picture), title) for picture, title in zip(strip.pictures, strip.titles, strict=True)]


def _encode_png(picture: U8) -> str:
    """A data URI."""
    content = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(picture)).save(content, format="PNG", compress_level=4)
    return f"data:image/png;base64,{base64.b64encode(content.getvalue()).decode()}"
