"""All lesions of a site on few pages: picture, crop and curve of each, those to be looked at first."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from ceus_models.figures.canvas import Frame, render_png
from ceus_models.figures.palette import BAD, BOX, INK, LESION, PEAK
from ceus_models.runtime.atomic_files import write_atomically
from client.data.analysis.trace import Trace
from client.data.dataset.cache_cleanup import CONTACT_SHEET, remove_contact_sheets
from client.data.imaging.recording import F64, U8
from client.data.sheets.curve import break_at_gaps, compute_time_span

TILE_PX = 128
PAGE_TILES = 96
_ACROSS = 12
_CELL_COLUMNS, _CELL_ROWS = TILE_PX + 8, TILE_PX + 80
_TILE_LEFT, _TILE_TOP, _CURVE_FOOT, _CURVE_HEIGHT = 4, 20, 200, 44
_INCH_A_CELL = 1.5
_HEAD_INCHES = 0.35


@dataclass(frozen=True, slots=True, eq=False)
class Tile:
    """One lesion on the contact sheet.

    Attributes:
        row: Row of the table.
        picture: Levels (TILE_PX TILE_PX) around the box.
        box: x0, y0, x1, y1 as shares of the picture.
        outline: f32 (n 2), closed, as shares of it.
        curve: f32 (t 2), time as a share of the whole and smoothed TIC over its peak, NaN in gaps.
        peak: Position (2) of the peak.
        doubtful: Whether a person must check the track.
    """

    row: int
    title: str
    picture: U8
    box: tuple[float, float, float, float]
    outline: npt.NDArray[np.float32]
    curve: npt.NDArray[np.float32]
    peak: tuple[float, float]
    doubtful: bool


def make_tile(row: int, title: str, trace: Trace) -> Tile:
    """What the contact sheet keeps of a lesion: small, so that a site's thousand lesions fit in memory."""
    first, last = compute_time_span(trace.seconds)
    top = float(np.nanmax(trace.smoothed, initial=0.0)) or 1.0
    seconds, smoothed = break_at_gaps(trace.seconds, trace.smoothed)
    curve = np.column_stack([(seconds - first) / (last - first), np.clip(smoothed / top, 0, 1)]).astype(np.float32)
    at = int(trace.peak_index)
    peak = (float(trace.seconds[at]) - first) / (last - first), float(np.clip(trace.smoothed[at] / top, 0, 1))
    return Tile(row, title, *_cut_thumbnail(trace), curve, peak, bool(trace.doubts or trace.clip_doubts))


def write_contact_sheets(tiles: Sequence[Tile], folder: Path) -> list[Path]:
    """Write the pages and removes those of an earlier call; doubtful lesions come first and have a red frame."""
    ordered = sorted(tiles, key=lambda tile: (not tile.doubtful, tile.row))
    pages = [ordered[at : at + PAGE_TILES] for at in range(0, len(ordered), PAGE_TILES)]
    names = [f"{CONTACT_SHEET}-{number:02d}.png" for number in range(1, len(pages) + 1)]
    paths = [folder / name for name in (names if len(pages) > 1 else [f"{CONTACT_SHEET}.png"] * len(pages))]
    remove_contact_sheets(folder)
    doubtful = sum(tile.doubtful for tile in tiles)
    for number, (page, path) in enumerate(zip(pages, paths, strict=True), start=1):
        heading = f"{len(tiles)} lesions, {doubtful} to be looked at (first, red) · page {number} of {len(pages)}"
        _write_page(page, heading, path)
    return paths


def _write_page(tiles: Sequence[Tile], heading: str, path: Path) -> None:
    across = min(_ACROSS, max(4, math.ceil(math.sqrt(len(tiles) * 1.5))))
    down = math.ceil(len(tiles) / across)
    picture = np.full((_CELL_ROWS * down, _CELL_COLUMNS * across), 255, dtype=np.uint8)
    width = _INCH_A_CELL * across
    height = width * picture.shape[0] / picture.shape[1] + _HEAD_INCHES

    def draw(figure: Figure) -> None:
        axes = figure.add_axes((0, 0, 1, 1 - _HEAD_INCHES / height))
        for index, tile in enumerate(tiles):
            _draw_tile(axes, picture, tile, (_CELL_COLUMNS * (index % across), _CELL_ROWS * (index // across)))
        axes.imshow(picture, cmap="gray", vmin=0, vmax=255, interpolation="nearest", aspect="auto")
        axes.axis("off")
        figure.text(0.05 / width, 1 - 0.1 / height, heading, va="top", fontsize=9, weight="bold")

    write_atomically(path, render_png(Frame(width, height), draw, dots_per_inch=110))


def _draw_tile(axes: Axes, page: U8, tile: Tile, origin: tuple[int, int]) -> None:
    """Paint the picture into the page and draw the rest over it, all in pixels of the page."""
    left, top = origin[0] + _TILE_LEFT, origin[1] + _TILE_TOP
    page[top : top + TILE_PX, left : left + TILE_PX] = tile.picture
    x0, y0, x1, y1 = (TILE_PX * share for share in tile.box)
    axes.add_patch(Rectangle((left + x0, top + y0), x1 - x0, y1 - y0, fill=False, edgecolor=BOX, linewidth=0.8))
    ring = tile.outline * TILE_PX + np.array([left, top], dtype=np.float32)
    axes.add_collection(LineCollection([ring], colors=[LESION], linewidths=0.7), autolim=False)
    colour, weight = (BAD, "bold") if tile.doubtful else (INK, "normal")
    axes.text(left, top - 4, tile.title, fontsize=6.5, color=colour, weight=weight, va="bottom")
    foot = origin[1] + _CURVE_FOOT
    points = np.column_stack([left + TILE_PX * tile.curve[:, 0], foot - _CURVE_HEIGHT * tile.curve[:, 1]])
    axes.add_collection(LineCollection([points], colors=[INK], linewidths=0.7), autolim=False)
    axes.plot(left + TILE_PX * tile.peak[0], foot - _CURVE_HEIGHT * tile.peak[1], ".", color=PEAK, markersize=4)
    if tile.doubtful:
        axes.add_patch(Rectangle((left, top), TILE_PX, TILE_PX, fill=False, edgecolor=BAD, linewidth=2.5))


def _cut_thumbnail(trace: Trace) -> tuple[U8, tuple[float, float, float, float], npt.NDArray[np.float32]]:
    """The reference frame around the box, square, black outside the frame; the box and the outline as shares of it."""
    x0, y0, x1, y1 = map(float, trace.box)
    side = max(x1 - x0, y1 - y0, 1.0) * 1.3
    left, top = (x0 + x1 - side) / 2, (y0 + y1 - side) / 2
    steps: F64 = (np.arange(TILE_PX) + 0.5) * side / TILE_PX
    ys, xs = np.floor(top + steps).astype(int), np.floor(left + steps).astype(int)
    height, width = trace.reference.shape
    inside = ((ys >= 0) & (ys < height))[:, None] & ((xs >= 0) & (xs < width))[None, :]
    grey = trace.reference[np.clip(ys, 0, height - 1)][:, np.clip(xs, 0, width - 1)]
    box = ((x0 - left) / side, (y0 - top) / side, (x1 - left) / side, (y1 - top) / side)
    outline = (np.vstack([trace.polygon, trace.polygon[:1]]) + 0.5 - (left, top)) / side
    return np.where(inside, grey, 0).astype(np.uint8), box, outline.astype(np.float32)
