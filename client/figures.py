"""Pictures for the eye of the person who answers for the data: a quality sheet a lesion, a contact sheet a site.

Only pseudonyms and crops are shown. Figures are built object by object (no pyplot), so threads may draw at once.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.colors import hsv_to_rgb
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpec
from matplotlib.patches import Polygon, Rectangle

from ceus_models.sample import Sample
from client.pipeline import Trace

F64 = npt.NDArray[np.float64]
RGB = F64
"""Colours 0..1 (h w 3)."""

STRIP_FRAMES = 12
TILE_PX = 128
_INK, _LESION, _BOX, _PEAK, _HELD = "#22303c", "#ffb000", "#35c2ff", "#dc267f", "#dc267f"
_WHEEL_PX = 96


@dataclass(frozen=True, slots=True, eq=False)
class Tile:
    """One lesion on the contact sheet.

    picture: levels 0..1 (TILE_PX TILE_PX) around the box · box: x0, y0, x1, y1 as shares of the picture · curve:
    (t 2), time as a share of the whole and smoothed TIC over its peak, NaN in gaps · peak: its place (2).
    """

    title: str
    picture: F64
    box: tuple[float, float, float, float]
    curve: F64
    peak: tuple[float, float]
    doubtful: bool


def quality_sheet(sample: Sample, trace: Trace, path: Path, gate: float | None = None) -> None:
    """Writes one PNG: reference frame with outline and box, TIC with peak and key frames, tracking, key frames, flow.

    gate: correlation below which frames are held, drawn where given. The file appears whole or not at all.
    """
    figure = Figure(figsize=(15, 10.5), facecolor="white")
    grid = GridSpec(4, 2, figure=figure, width_ratios=(1, 1.55), height_ratios=(1.5, 0.85, 0.95, 0.75))
    grid.update(left=0.01, right=0.985, top=0.9, bottom=0.01, hspace=0.3, wspace=0.09)
    _reference(figure.add_subplot(grid[0:2, 0]), trace)
    _curve(figure.add_subplot(grid[0, 1]), trace)
    _tracking(figure.add_subplot(grid[1, 1]), trace, gate)
    _strip(figure.add_subplot(grid[2, :]), sample, trace)
    _flow(figure.add_subplot(grid[3, :]), trace)
    figure.text(0.01, 0.99, _title(sample, trace), fontsize=10, color=_INK, va="top")
    _save(figure, path, dots_per_inch=100)


def tile_of(sample: Sample, trace: Trace) -> Tile:
    """What the contact sheet keeps of a lesion: small, so that a site's thousand lesions fit in memory."""
    held = float(np.mean(trace.held)) if trace.held.size else 0.0
    first, last = _span(trace.seconds)
    top = float(np.nanmax(trace.smoothed, initial=0.0)) or 1.0
    seconds, smoothed = _broken(trace.seconds, trace.smoothed)
    curve = np.column_stack([(seconds - first) / (last - first), np.clip(smoothed / top, 0, 1)])
    peak = (float(trace.seconds[trace.peak_index]) - first) / (last - first)
    title = f"{sample.key[:8]} {sample.label or 'blank'}"
    return Tile(title, *_thumbnail(trace), curve, (peak, 1.0), held > _DOUBTFUL_SHARE)


_DOUBTFUL_SHARE = 0.3
"""More held frames than breathing out of the plane explains (10-30 %)."""
_CELL_COLUMNS, _CELL_ROWS = TILE_PX + 8, TILE_PX + 90
_TILE_LEFT, _TILE_TOP, _CURVE_FOOT, _CURVE_HEIGHT = 4, 20, 204, 48
_MANY = 400
"""Above so many lesions the contact sheet is drawn coarser, to stay a picture that a viewer opens."""


def contact_sheet(tiles: Sequence[Tile], path: Path) -> None:
    """Writes one PNG of all lesions of a site, each with its box and its curve; a doubtful track has a red frame."""
    across = max(1, min(16, math.ceil(math.sqrt(len(tiles) * 1.5))))
    down = max(1, math.ceil(len(tiles) / across))
    canvas = np.ones((_CELL_ROWS * down, _CELL_COLUMNS * across))
    width = 1.5 * across
    height = width * canvas.shape[0] / canvas.shape[1] + 0.3
    figure = Figure(figsize=(width, height), facecolor="white")
    axes = figure.add_axes((0, 0, 1, 1 - 0.3 / height))
    for index, tile in enumerate(tiles):
        _draw_tile(axes, canvas, tile, (_CELL_COLUMNS * (index % across), _CELL_ROWS * (index // across)))
    axes.imshow(canvas, cmap="gray", vmin=0, vmax=1, interpolation="nearest", aspect="auto")
    axes.axis("off")
    doubtful = sum(tile.doubtful for tile in tiles)
    held = f"{doubtful} with over {_DOUBTFUL_SHARE:.0%} of frames held (red frame)"
    figure.text(0.05 / width, 1 - 0.08 / height, f"{len(tiles)} lesions\n{held}", va="top", fontsize=7, color=_INK)
    _save(figure, path, dots_per_inch=110 if len(tiles) <= _MANY else 70)


def flow_colours(flow: npt.NDArray[np.float32], bound_px: float) -> RGB:
    """Flow (2 h w) in px as colours (h w 3): hue is the direction (right = red, down = green-yellow as on the
    wheel), brightness the length up to `bound_px`.
    """
    u, v = np.asarray(flow, dtype=np.float64)
    hue = (np.arctan2(v, u) / (2 * np.pi)) % 1.0
    length = np.clip(np.hypot(u, v) / max(bound_px, 1e-6), 0, 1)
    return np.asarray(hsv_to_rgb(np.stack([hue, np.ones_like(hue), length], axis=-1)), dtype=np.float64)


def _title(sample: Sample, trace: Trace) -> str:
    shown = [f"{name} {value:.4g}" for name, value in trace.parameters.items()]
    lines = [" · ".join(shown[at : at + 9]) for at in range(0, len(shown), 9)]
    return "\n".join([f"lesion {sample.key} · {sample.cohort} · type {sample.label or 'blank'}", *lines])


def _reference(axes: Axes, trace: Trace) -> None:
    axes.imshow(trace.reference, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    x0, y0, x1, y1 = trace.box
    axes.add_patch(Rectangle((x0 - 0.5, y0 - 0.5), x1 - x0, y1 - y0, fill=False, edgecolor=_BOX, linewidth=1.5))
    axes.add_patch(Polygon(trace.polygon, closed=True, fill=False, edgecolor=_LESION, linewidth=1.5))
    axes.set(xticks=[], yticks=[], anchor="W")
    _caption(axes, "reference frame: outline (orange), crop (blue)")


def _curve(axes: Axes, trace: Trace) -> None:
    seconds, peak = trace.seconds, int(trace.peak_index)
    axes.plot(*_broken(seconds, trace.tic), color="#9fb3c8", linewidth=0.8, label="mean of the lesion")
    axes.plot(*_broken(seconds, trace.smoothed), color=_INK, linewidth=1.5, label="smoothed")
    axes.axvline(seconds[peak], color=_PEAK, linewidth=1.2, label=f"peak at {seconds[peak]:.1f} s")
    chosen = np.asarray(trace.chosen)
    axes.plot(
        seconds[chosen],
        np.zeros(len(chosen)),
        "|",
        color=_LESION,
        markersize=9,
        label=f"{len(chosen)} key frames",
        transform=axes.get_xaxis_transform(),
        clip_on=False,
    )
    axes.legend(fontsize=8, frameon=False, ncols=4, loc="upper right", bbox_to_anchor=(1.0, 1.13))
    _caption(axes, "time-intensity curve")
    axes.set_xlim(_span(seconds))
    axes.set_ylabel("intensity", fontsize=8)
    axes.tick_params(labelsize=8)


def _tracking(axes: Axes, trace: Trace, gate: float | None) -> None:
    held = np.asarray(trace.held, dtype=bool)
    axes.plot(*_broken(trace.seconds, trace.correlation), color=_INK, linewidth=0.9)
    axes.plot(trace.seconds[held], trace.correlation[held], ".", color=_HELD, markersize=4)
    if gate is not None:
        axes.axhline(gate, color=_HELD, linewidth=0.8, linestyle="--")
    share = float(held.mean()) if held.size else 0.0
    at_gate = "" if gate is None else f", gate {gate:g}"
    _caption(axes, f"tracking: correlation with the reference frame ({share:.0%} of frames held, red{at_gate})")
    axes.set_xlim(_span(trace.seconds))
    axes.set_ylim(min(-0.05, float(np.nanmin(trace.correlation, initial=0.0))), 1.05)
    axes.set_xlabel("seconds after injection", fontsize=8)
    axes.tick_params(labelsize=8)


def _strip(axes: Axes, sample: Sample, trace: Trace) -> None:
    picked = np.unique(np.linspace(0, len(sample.frames) - 1, STRIP_FRAMES).round().astype(int))
    axes.imshow(_row_of([sample.frames[index] for index in picked], 255), cmap="gray", vmin=0, vmax=255)
    width = sample.frames.shape[2] + _GAP_PX
    seconds = trace.seconds[np.asarray(trace.chosen)]
    labels = [f"{seconds[index]:.1f} s" if index < len(seconds) else "" for index in picked]
    axes.set_xticks([width * (place + 0.5) for place in range(len(picked))], labels, fontsize=8)
    axes.set_yticks([])
    _bare(axes)
    _caption(axes, f"{len(picked)} of {len(sample.frames)} key frames")


def _flow(axes: Axes, trace: Trace) -> None:
    lengths = np.hypot(trace.flow[:, 0], trace.flow[:, 1])
    bound = float(np.percentile(lengths, 99)) if lengths.size else 0.0
    bound = max(bound, 0.1)
    side = trace.flow.shape[-1] if trace.flow.size else _WHEEL_PX
    maps = [flow_colours(flow, bound) for flow in trace.flow]
    axes.imshow(_row_of([*maps, _wheel(side)], 1.0), interpolation="nearest")
    axes.set(xticks=[], yticks=[])
    _bare(axes)
    _caption(axes, f"flow between key frames, global motion removed; full colour = {bound:.2f} px; wheel at the right")


def _wheel(side: int) -> RGB:
    y, x = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j]
    colours = flow_colours(np.stack([x, y]).astype(np.float32), 1.0)
    colours[np.hypot(x, y) > 1] = 1.0
    return colours


_GAP_PX = 3


def _row_of(pictures: Sequence[npt.NDArray[np.generic]], white: float) -> F64:
    """Pictures (h w) or (h w 3) side by side with white gaps."""
    heights = max(picture.shape[0] for picture in pictures)
    padded = []
    for picture in pictures:
        spread = [(0, heights - picture.shape[0]), (0, _GAP_PX)] + [(0, 0)] * (picture.ndim - 2)
        padded.append(np.pad(np.asarray(picture, dtype=np.float64), spread, constant_values=white))
    return np.concatenate(padded, axis=1)


def _thumbnail(trace: Trace) -> tuple[F64, tuple[float, float, float, float]]:
    """The reference frame around the box, square, black outside the frame, and the box as shares of it."""
    x0, y0, x1, y1 = map(float, trace.box)
    side = max(x1 - x0, y1 - y0, 1.0) * 1.3
    left, top = (x0 + x1 - side) / 2, (y0 + y1 - side) / 2
    steps = (np.arange(TILE_PX) + 0.5) * side / TILE_PX
    ys, xs = np.floor(top + steps).astype(int), np.floor(left + steps).astype(int)
    height, width = trace.reference.shape
    inside = ((ys >= 0) & (ys < height))[:, None] & ((xs >= 0) & (xs < width))[None, :]
    grey = trace.reference[np.clip(ys, 0, height - 1)][:, np.clip(xs, 0, width - 1)] / 255.0
    box = ((x0 - left) / side, (y0 - top) / side, (x1 - left) / side, (y1 - top) / side)
    return np.where(inside, grey, 0.0), box


def _draw_tile(axes: Axes, canvas: F64, tile: Tile, origin: tuple[int, int]) -> None:
    """Paints the picture into the canvas and draws the rest over it, all in pixels of the canvas."""
    left, top = origin[0] + _TILE_LEFT, origin[1] + _TILE_TOP
    canvas[top : top + TILE_PX, left : left + TILE_PX] = tile.picture
    x0, y0, x1, y1 = (TILE_PX * share for share in tile.box)
    axes.add_patch(Rectangle((left + x0, top + y0), x1 - x0, y1 - y0, fill=False, edgecolor=_BOX, linewidth=0.8))
    axes.text(left, top - 4, tile.title, fontsize=6.5, color=_INK, va="bottom")
    foot = origin[1] + _CURVE_FOOT
    points = np.column_stack([left + TILE_PX * tile.curve[:, 0], foot - _CURVE_HEIGHT * tile.curve[:, 1]])
    axes.add_collection(LineCollection([points], colors=[_INK], linewidths=0.7), autolim=False)
    axes.plot(left + TILE_PX * tile.peak[0], foot - _CURVE_HEIGHT * tile.peak[1], ".", color=_PEAK, markersize=3)
    if tile.doubtful:
        axes.add_patch(Rectangle((left, top), TILE_PX, TILE_PX, fill=False, edgecolor=_HELD, linewidth=2.0))


def _broken(seconds: F64, values: F64) -> tuple[F64, F64]:
    """Both with NaN put into the gaps between clips, so that no line is drawn where nothing was seen."""
    steps = np.diff(seconds)
    gaps = np.flatnonzero(steps > max(1.0, 5 * float(np.median(steps)))) + 1 if len(steps) else np.array([], int)
    return np.insert(seconds, gaps, np.nan), np.insert(np.asarray(values, dtype=np.float64), gaps, np.nan)


def _span(seconds: F64) -> tuple[float, float]:
    first, last = float(seconds[0]), float(seconds[-1])
    return (first, last) if last > first else (first - 0.5, first + 0.5)


def _bare(axes: Axes) -> None:
    axes.set_anchor("W")
    for side in axes.spines.values():
        side.set_visible(False)
    axes.tick_params(length=0)


def _caption(axes: Axes, text: str) -> None:
    axes.set_title(text, fontsize=9, loc="left", color=_INK)


def _save(figure: Figure, path: Path, dots_per_inch: int) -> None:
    """Writes beside the target and renames, so that a half-written picture never has its name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.draft")
    FigureCanvasAgg(figure)
    figure.savefig(draft, format="png", dpi=dots_per_inch, metadata={"Software": None})
    draft.replace(path)
