"""The same numbers give the same bytes in every format, whatever style the user's matplotlib has."""

from __future__ import annotations

import subprocess
import sys

import pytest
from matplotlib import rc_context
from matplotlib.figure import Figure

from ceus_models.figures.canvas import Frame, caption, render_pdf, render_png, render_svg

FRAME = Frame(2, 1.5)


def draw(figure: Figure) -> None:
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], label="a & b")
    axes.legend()
    caption(axes, "x < y")


def rendered() -> dict[str, bytes]:
    return {
        "svg": render_svg("one", "a & b", FRAME, draw).encode(),
        "png": render_png(FRAME, draw, dots_per_inch=50),
        "pdf": render_pdf(FRAME, draw),
    }


def test_the_bytes_depend_on_the_numbers_alone() -> None:
    found = rendered()
    assert found["png"].startswith(b"\x89PNG")
    assert found["pdf"].startswith(b"%PDF")
    with rc_context({"font.size": 20, "axes.facecolor": "red", "svg.fonttype": "path", "pdf.fonttype": 42}):
        assert rendered() == found


def test_the_style_ends_with_the_figure_also_where_drawing_fails() -> None:
    def fail(figure: Figure) -> None:
        raise ValueError("no numbers")

    with rc_context({"font.size": 20}):
        with pytest.raises(ValueError, match="no numbers"):
            render_png(FRAME, fail, dots_per_inch=50)
        assert render_png(FRAME, draw, dots_per_inch=50) == rendered()["png"]


def test_colours_need_no_matplotlib() -> None:
    code = "import sys, ceus_models.figures.palette; print('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout == b"False\n"
