"""What every figure of the report shares: its style, its symbols, and the way to small, deterministic SVG."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from ceus_models.study.taxonomy import FUSION_MODELS, LESION_TYPES
from ceus_models.web.templates import trust

INK = "#1f2933"
FAINT = "#9aa5b1"
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
    "grid.color": "#e4e7eb",
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


Dash = str | tuple[int, tuple[float, ...]]


@dataclass(frozen=True)
class Look:
    """How a series is drawn; colour, line and marker each tell it apart alone: for grey print and any eye."""

    colour: str
    line: Dash
    marker: str


# After Okabe & Ito's colour-blind safe palette (2008, "Color universal design"), without its pale yellow.
_LOOKS = (
    Look("#0072b2", "-", "o"),
    Look("#d55e00", (0, (5.0, 2.0)), "s"),
    Look("#009e73", (0, (6.0, 2.0, 1.0, 2.0)), "^"),
    Look("#b0579a", (0, (1.5, 1.5)), "D"),
    Look("#e69f00", (0, (9.0, 2.5)), "v"),
    Look("#3a9bdc", (0, (4.0, 1.5, 1.0, 1.5, 1.0, 1.5)), "P"),
)
TYPE_LOOKS: Mapping[str, Look] = dict(zip(LESION_TYPES, _LOOKS, strict=True))
MODEL_LOOKS: Mapping[str, Look] = dict(
    zip(
        FUSION_MODELS,
        (
            Look("#8a949e", (0, (1.5, 1.5)), "o"),
            Look("#e69f00", (0, (6.0, 2.0, 1.0, 2.0)), "s"),
            Look("#009e73", (0, (5.0, 2.0)), "^"),
            Look("#0b3c6f", "-", "D"),
        ),
        strict=True,
    )
)


def look(index: int) -> Look:
    """The look of the index-th series of a figure."""
    return _LOOKS[index % len(_LOOKS)]


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


SQUARE = Frame(3.6, 4.45, bottom=1.11)
"""A panel with axes of equal length and its legend below."""


def svg(name: str, title: str, frame: Frame, draw: Callable[[Figure], None]) -> str:
    """Draw on a figure and return it as inline SVG, the same bytes for the same numbers.

    `name` (letters, digits and hyphens; unique in the page) prefixes every id, because all figures share one
    document; `title` is what a screen reader says.
    """
    with mpl.rc_context():
        mpl.rcdefaults()  # a user's own matplotlibrc must not change a report
        mpl.rcParams.update({**_STYLE, "svg.hashsalt": name})
        figure = Figure(figsize=(frame.width, frame.height))
        figure.subplots_adjust(
            left=frame.left / frame.width,
            right=1 - frame.right / frame.width,
            bottom=frame.bottom / frame.height,
            top=1 - frame.top / frame.height,
        )
        FigureCanvasSVG(figure)
        draw(figure)
        out = io.StringIO()
        figure.savefig(out, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    return trust(_tidied(out.getvalue(), name, title))


def _tidied(raw: str, name: str, title: str) -> str:
    text = raw[raw.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)
    text = re.sub(r'\bid="([^"]+)"', rf'id="{name}-\1"', text)
    text = re.sub(r'(href="#|url\(#)', rf"\g<1>{name}-", text)
    text = re.sub(r"<[^>]*>", _shortened, text)  # within tags only: a tick may say 1.8046
    text = text.replace("'DejaVu Sans'", FONTS)
    text = re.sub(r">\s+<", "><", text)
    label = title.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")
    return text.replace("<svg ", f'<svg role="img" aria-label="{label}" ', 1).strip()


def _shortened(tag: re.Match[str]) -> str:
    """Coordinates to a hundredth of a point."""
    return re.sub(r"(\d\.\d{2})\d{2,}", r"\1", tag.group())


def thinned(
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


def legend_below(axes: Axes, title: str) -> None:
    """A legend under a panel of the frame `SQUARE`, where it covers no curve, wherever the curves go."""
    below: dict[str, Any] = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.15), "ncols": 3}
    small: dict[str, Any] = {"fontsize": 7.5, "title_fontsize": 7.5, "labelspacing": 0.25, "columnspacing": 1.2}
    axes.legend(title=title, **below, **small)


def interval_row(axes: Axes, y: float, interval: tuple[float, float, float], style: Look, gid: str) -> None:
    """A dot at `value` and a line from `low` to `high` at height `y`; `interval` is (low, value, high)."""
    low, value, high = interval
    (line,) = axes.plot([low, high], [y, y], color=style.colour, linewidth=1.6, solid_capstyle="butt")
    line.set_gid(gid)
    axes.plot([value], [y], linestyle="none", marker=style.marker, color=style.colour, markersize=5.5)
