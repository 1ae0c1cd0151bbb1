"""All clips of an export on few pages: the likely reference frame of each, with what the scan found below it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from matplotlib.figure import Figure

from ceus_models.figures.canvas import Frame, render_png
from ceus_models.figures.palette import BAD, GOOD, INK
from ceus_models.runtime.atomic_files import write_atomically
from client.data.imaging.recording import U8
from client.data.scan.draft import NamedExam
from client.data.scan.enhancement import NO, YES
from client.data.scan.scan_files import list_sheets, name_sheet

PAGE_TILES = 60
_ACROSS = 6
_CELL_COLUMNS, _CELL_ROWS = 250, 168
_PICTURE_COLUMNS, _PICTURE_ROWS = 242, 120
_INCH_A_CELL = 2.3
_HEAD_INCHES = 0.35


@dataclass(frozen=True, slots=True)
class ScanTile:
    """One clip on the sheet.

    Attributes:
        picture: PNG of its panes.
        contrast: "yes", "perhaps" or "no".
    """

    picture: Path
    title: str
    below: str
    contrast: str


def make_tiles(exams: Sequence[NamedExam], pictures: Path) -> list[ScanTile]:
    """The clips of all exams in their order."""
    tiles = []
    for named in exams:
        for number, clip in enumerate(named.exam.clips, start=1):
            found = clip.finding
            title = f"L{named.exam.number:04d} clip {number}: contrast {found.contrast}"
            below = f"{found.frames} frames, {found.seconds:.0f} s, {found.tint}, frame {found.reference}"
            tiles.append(ScanTile(pictures / f"{clip.stamp}.png", title, below, found.contrast))
    return tiles


def write_scan_sheets(tiles: Sequence[ScanTile], folder: Path) -> list[Path]:
    """Write the pages and remove those of an earlier scan. Raises OSError."""
    for old in list_sheets(folder):
        old.unlink()
    pages = [tiles[at : at + PAGE_TILES] for at in range(0, len(tiles), PAGE_TILES)]
    paths = [name_sheet(folder, number) for number in range(1, len(pages) + 1)]
    for number, (page, path) in enumerate(zip(pages, paths, strict=True), start=1):
        _write_page(page, f"{len(tiles)} clips · page {number} of {len(pages)}", path)
    return paths


def _write_page(tiles: Sequence[ScanTile], heading: str, path: Path) -> None:
    across = min(_ACROSS, max(3, len(tiles)))
    down = math.ceil(len(tiles) / across)
    page = np.full((_CELL_ROWS * down, _CELL_COLUMNS * across), 255, dtype=np.uint8)
    width = _INCH_A_CELL * across
    height = width * page.shape[0] / page.shape[1] + _HEAD_INCHES

    def draw(figure: Figure) -> None:
        axes = figure.add_axes((0, 0, 1, 1 - _HEAD_INCHES / height))
        for index, tile in enumerate(tiles):
            left, top = _CELL_COLUMNS * (index % across) + 4, _CELL_ROWS * (index // across) + 20
            picture = _fit_picture(tile.picture)
            page[top : top + picture.shape[0], left : left + picture.shape[1]] = picture
            colour = {YES: GOOD, NO: INK}.get(tile.contrast, BAD)
            axes.text(left, top - 3, tile.title, fontsize=7.5, color=colour, va="bottom", weight="bold")
            axes.text(left, top + _PICTURE_ROWS + 3, tile.below, fontsize=7, color=INK, va="top")
        axes.imshow(page, cmap="gray", vmin=0, vmax=255, interpolation="nearest", aspect="auto")
        axes.axis("off")
        figure.text(0.05 / width, 1 - 0.1 / height, heading, va="top", fontsize=9, weight="bold")

    write_atomically(path, render_png(Frame(width, height), draw, dots_per_inch=110))


def _fit_picture(path: Path) -> U8:
    """A picture within a cell; grey where it is not there any more."""
    found = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_GRAYSCALE) if path.exists() else None
    if found is None:
        return np.full((_PICTURE_ROWS, _PICTURE_COLUMNS), 200, dtype=np.uint8)
    scale = min(_PICTURE_COLUMNS / found.shape[1], _PICTURE_ROWS / found.shape[0])
    size = (max(1, int(found.shape[1] * scale)), max(1, int(found.shape[0] * scale)))
    return np.asarray(cv2.resize(found, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
