"""What the sheets share: colours, captions, curves with gaps, flow in colour, and files that appear whole.

Only pseudonyms and crops are shown. Figures are built object by object (no pyplot), so threads may draw at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import hsv_to_rgb
from matplotlib.figure import Figure

F64 = npt.NDArray[np.float64]
RGB = F64
"""Colours 0..1 (h w 3)."""

INK, PALE, LESION, BOX, PEAK, BAD = "#22303c", "#9fb3c8", "#ffb000", "#35c2ff", "#dc267f", "#dc267f"
GAP_PX = 3


def flow_colours(flow: npt.NDArray[np.float32], bound_px: float) -> RGB:
    """Flow (2 h w) in px as colours (h w 3): hue is the direction (right = red, down = green-yellow as on the
    wheel), brightness the length up to `bound_px`.
    """
    u, v = np.asarray(flow, dtype=np.float64)
    hue = (np.arctan2(v, u) / (2 * np.pi)) % 1.0
    length = np.clip(np.hypot(u, v) / max(bound_px, 1e-6), 0, 1)
    return np.asarray(hsv_to_rgb(np.stack([hue, np.ones_like(hue), length], axis=-1)), dtype=np.float64)


def wheel(side: int) -> RGB:
    """The key to `flow_colours`: what each direction looks like."""
    y, x = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j]
    colours = flow_colours(np.stack([x, y]).astype(np.float32), 1.0)
    colours[np.hypot(x, y) > 1] = 1.0
    return colours


def row_of(pictures: Sequence[npt.NDArray[np.generic]], white: float) -> F64:
    """Pictures (h w) or (h w 3) side by side with white gaps of GAP_PX."""
    heights = max(picture.shape[0] for picture in pictures)
    padded = []
    for picture in pictures:
        spread = [(0, heights - picture.shape[0]), (0, GAP_PX)] + [(0, 0)] * (picture.ndim - 2)
        padded.append(np.pad(np.asarray(picture, dtype=np.float64), spread, constant_values=white))
    return np.concatenate(padded, axis=1)


def broken(seconds: F64, values: F64) -> tuple[F64, F64]:
    """Both with NaN put into the gaps between clips, so that no line is drawn where nothing was seen."""
    gaps = after_gaps(seconds)
    return np.insert(seconds, gaps, np.nan), np.insert(np.asarray(values, dtype=np.float64), gaps, np.nan)


def after_gaps(seconds: F64) -> npt.NDArray[np.int_]:
    """Indices of the frames before which nothing was seen for a while."""
    steps = np.diff(seconds)
    if len(steps) == 0:
        return np.zeros(0, dtype=np.int_)
    return np.flatnonzero(steps > max(1.0, 5 * float(np.median(steps)))) + 1


def span(seconds: F64) -> tuple[float, float]:
    """First and last time, never the same."""
    first, last = float(seconds.min()), float(seconds.max())
    return (first, last) if last > first else (first - 0.5, first + 0.5)


def bare(axes: Axes) -> None:
    """No frame and no ticks; at the left."""
    axes.set_anchor("W")
    for side in axes.spines.values():
        side.set_visible(False)
    axes.tick_params(length=0)


def caption(axes: Axes, text: str) -> None:
    """A line above, at the left."""
    axes.set_title(text, fontsize=9, loc="left", color=INK)


def save(figure: Figure, path: Path, dots_per_inch: int) -> None:
    """Writes beside the target and renames, so that a half-written picture never has its name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".part-{path.name}")
    FigureCanvasAgg(figure)
    figure.savefig(draft, format="png", dpi=dots_per_inch, metadata={"Software": None})
    draft.replace(path)
