"""Pictures of a lesion side by side, and the outline in them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes

from ceus_models.figures.canvas import caption, hide_frame
from client.data.analysis.trace import Trace
from client.data.imaging.recording import F64

GAP_PX = 3


def draw_strip(
    axes: Axes, text: str, pictures: Sequence[npt.NDArray[np.generic]], labels: Sequence[str], size: float = 8
) -> None:
    """Pictures of one size, grey (h w) or in colours (h w 3), with their labels below and a caption above.

    Bytes are levels 0..255, floats are colours 0..1. Labels may be fewer than pictures; size: of their letters.
    """
    caption(axes, text, size + 1)
    hide_frame(axes)
    axes.set(xticks=[], yticks=[], anchor="W")
    axes.tick_params(pad=2)
    if not len(pictures):
        return
    white = 255 if pictures[0].dtype == np.uint8 else 1.0
    padding = [(0, 0), (0, GAP_PX)] + [(0, 0)] * (pictures[0].ndim - 2)
    row = np.concatenate([np.pad(picture, padding, constant_values=white) for picture in pictures], axis=1)
    axes.imshow(row, cmap="gray", vmin=0, vmax=white, interpolation="nearest")
    width = pictures[0].shape[1] + GAP_PX
    axes.set_xticks([width * (place + 0.5) for place in range(len(labels))], labels, fontsize=size)


def place_outline_in_crop(trace: Trace, side: int) -> F64:
    """The closed outline (n 2) in a crop of `side` px."""
    x0, y0, x1, y1 = trace.box
    scale = np.array([side / (x1 - x0), side / (y1 - y0)])
    return np.asarray((np.vstack([trace.polygon, trace.polygon[:1]]) - (x0, y0) + 0.5) * scale - 0.5)
