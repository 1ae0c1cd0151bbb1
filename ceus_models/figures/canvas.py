"""One style for all figures, and the same bytes for the same numbers as SVG, PNG or PDF."""

from __future__ import annotations

import io
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from ceus_models.figures.palette import FAINT, INK, WASH
from ceus_models.web.templates import trust

FONTS = "system-ui, -apple-system, 'Segoe UI', Roboto, Arial, sans-serif"

_STYLE: dict[Any, Any] = {  # matplotlib types its keys one by one
    "svg.fonttype": "none",  # text stays text: small, searchable, and set in the page's own font
    "font.family": ["DejaVu Sans"],  # comes with matplotlib, so the layout is the same everywhere
    "font.size": 8.5,
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "grid.color": WASH,
    "grid.linewidth": 0.7,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "legend.frameon": False,
    "legend.handlelength": 2.6,
    "lines.linewidth": 1.4,
    "lines.markersize": 4.5,
}
_ONE_AT_A_TIME = threading.Lock()
"""The style belongs to the whole process while a figure is drawn."""

Draw = Callable[[Figure], None]


@dataclass(frozen=True)
class Frame:
    """Size of a figure and the margins around its axes, in inches.

    Fixed, because matplotlib's own layout draws everything twice and more to find them.
    """

    width: float
    height: float
    left: float = 0.48
    right: float = 0.08
    bottom: float = 0.45
    top: float = 0.3


def render_svg(name: str, title: str, frame: Frame, draw: Draw) -> str:
    """Draw a figure as inline SVG.

    Args:
        name: letters, digits and hyphens, unique in the page; prefixes every id, because all figures of a page share
            one document.
        title: text for a screen reader.
    """
    about = {"Date": None, "Creator": None}
    raw = _render(frame, draw, name, format="svg", transparent=True, metadata=about).decode()
    return trust(_tidy(raw, name, title))


def render_png(frame: Frame, draw: Draw, dots_per_inch: int) -> bytes:
    """Draw a figure as a PNG on white."""
    return _render(frame, draw, format="png", dpi=dots_per_inch, metadata={"Software": None})


def render_pdf(frame: Frame, draw: Draw) -> bytes:
    """Draw a figure as one page of PDF."""
    return _render(frame, draw, format="pdf", metadata={"Title": "fedceus", "CreationDate": None})


def _render(frame: Frame, draw: Draw, salt: str = "fedceus", **how: Any) -> bytes:
    with _ONE_AT_A_TIME, mpl.rc_context():
        mpl.rcdefaults()  # a user's own matplotlibrc must not change a figure
        mpl.rcParams.update({**_STYLE, "svg.hashsalt": salt})
        figure = Figure(figsize=(frame.width, frame.height), facecolor="white")
        FigureCanvasSVG(figure)  # sets no pixels: what `draw` measures is in points
        figure.subplots_adjust(
            left=frame.left / frame.width,
            right=1 - frame.right / frame.width,
            bottom=frame.bottom / frame.height,
            top=1 - frame.top / frame.height,
        )
        draw(figure)
        out = io.BytesIO()
        figure.savefig(out, **how)
    return out.getvalue()


def _tidy(raw: str, name: str, title: str) -> str:
    text = raw[raw.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)
    text = re.sub(r'\bid="([^"]+)"', rf'id="{name}-\1"', text)
    text = re.sub(r'(href="#|url\(#)', rf"\g<1>{name}-", text)
    text = re.sub(r"<[^>]*>", _shorten, text)  # within tags only: a tick may say 1.8046
    text = text.replace("'DejaVu Sans'", FONTS)
    text = re.sub(r">\s+<", "><", text)
    label = title.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")
    return text.replace("<svg ", f'<svg role="img" aria-label="{label}" ', 1).strip()


def _shorten(tag: re.Match[str]) -> str:
    """Coordinates to a hundredth of a point."""
    return re.sub(r"(\d\.\d{2})\d{2,}", r"\1", tag.group())


def caption(axes: Axes, text: str, size: float = 9) -> None:
    """A line above the axes, at the left."""
    axes.set_title(text, fontsize=size, loc="left", weight="normal", pad=3)


def hide_frame(axes: Axes) -> None:
    """Neither spines nor tick marks; the labels of the ticks stay."""
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
