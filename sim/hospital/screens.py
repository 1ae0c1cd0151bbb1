"""Screens of nine manufacturers: position and tint of the panes, and the text around them.

Layouts and banner heights follow the de-identification rules of pydicom/deid; the gold map is measured on a real
image; the other maps are plausible. All maps have the level in their largest channel.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np

from sim.phantom.draw import U8, Machine

Box = tuple[int, int, int, int]
"""x0, y0, x1, y1 in screen px; x1 and y1 are exclusive."""
Side = Literal["left", "right", "top", "bottom"]

GOLD_LEVELS = (0, 24, 48, 72, 96, 120, 144, 168, 192, 216, 240, 255)
GOLD_GREEN = (1, 15, 30, 43, 55, 69, 88, 112, 140, 173, 215, 236)
GOLD_BLUE = (1, 12, 23, 31, 37, 43, 52, 67, 88, 116, 174, 196)
POWER_TINTS: Mapping[str, tuple[float, float, float]] = {
    # exponent of each channel on level / 255; 1 is the channel that carries the level
    "grey": (1.0, 1.0, 1.0),
    "amber": (1.0, 1.35, 2.6),
    "sepia": (1.0, 1.2, 1.7),
    "bronze": (1.0, 1.5, 2.2),
    "orange": (1.0, 1.6, 3.2),
    "green": (1.4, 1.0, 1.5),
    "copper": (1.0, 1.7, 2.0),
    "ice": (1.6, 1.2, 1.0),
    "honey": (1.0, 1.25, 3.0),
}


def _build_tints() -> dict[str, U8]:
    level = np.arange(256)
    gold = [level, np.interp(level, GOLD_LEVELS, GOLD_GREEN), np.interp(level, GOLD_LEVELS, GOLD_BLUE)]
    tables = {"gold": np.stack(gold, axis=1)}
    for name, exponents in POWER_TINTS.items():
        tables[name] = np.stack([255 * (level / 255) ** e for e in exponents], axis=1)
    return {name: np.rint(table).astype(np.uint8) for name, table in tables.items()}


TINTS: Mapping[str, U8] = _build_tints()
"""Level 0..255 to RGB (256 3)."""


@dataclass(frozen=True)
class Maker:
    """One manufacturer: its machine's factors, and its screen; `banner` is a share of the pane's height."""

    tag: str  # DICOM Manufacturer, as their machines write it
    model: str
    contrast: Side
    tint: str
    mark: str  # probe orientation
    banner: float
    machine: Machine


MAKERS: Mapping[str, Maker] = {
    "GE": Maker("GE Healthcare", "LOGIQ E9", "right", "amber", "G", 0.13, Machine(1.1, 1.0, 0.5, 54)),
    "Philips": Maker("Philips Medical Systems", "EPIQ 7G", "left", "gold", "P", 0.13, Machine(0.9, 1.04, 0.0, 50)),
    "Siemens": Maker("SIEMENS", "ACUSON S3000", "left", "bronze", "S", 0.12, Machine(1.0, 1.0, -0.5, 52)),
    "Canon": Maker("TOSHIBA_MEC_US", "Aplio 500", "top", "green", "C", 0.12, Machine(1.0, 0.92, 0.5, 58)),
    "Mindray": Maker("Mindray", "Resona 7", "left", "orange", "M", 0.10, Machine(1.1, 1.08, 1.0, 55)),
    "Hitachi": Maker("HITACHI", "HI VISION Preirus", "bottom", "copper", "H", 0.11, Machine(0.9, 0.92, -1.0, 60)),
    "Samsung": Maker("SAMSUNG MEDISON CO.,LTD.", "RS80A", "right", "sepia", "S", 0.14, Machine(1.0, 1.0, 0.0, 54)),
    "Esaote": Maker("ESAOTE", "MyLab Twice", "right", "honey", "E", 0.12, Machine(1.0, 0.96, -0.5, 62)),
    "SuperSonic": Maker("SuperSonic Imagine SA", "Aixplorer", "left", "ice", "A", 0.14, Machine(0.9, 1.04, 0.5, 57)),
}


@dataclass(frozen=True)
class Layout:
    """A screen's size and panes; `bmode` is None on a contrast-only screen."""

    rows: int
    columns: int
    banner: int
    contrast: Box
    bmode: Box | None


@dataclass(frozen=True)
class Caption:
    """The text on the screen; the persons are invented, but a client must treat them as real."""

    patient: str
    patient_id: str
    date: str
    hospital: str


def compute_layout(maker: Maker, pane: tuple[int, int], contrast_only: bool) -> Layout:
    """The layout for a pane (h, w); distances scale with the pane, rows and columns are even, as codecs need."""
    height, width = pane
    edge, gap = max(round(0.09 * width), 8), max(round(0.04 * width), 4)
    banner = max(round(maker.banner * height), 16)
    foot = max(round(0.09 * height), 9)
    top = banner + gap // 2
    if contrast_only:
        box = (edge, top, edge + width, top + height)
        return Layout(_round_up_to_even(top + height + foot), _round_up_to_even(width + 2 * edge), banner, box, None)
    stacked = maker.contrast in ("top", "bottom")
    first = (edge, top, edge + width, top + height)
    dx, dy = (0, height + gap) if stacked else (width + gap, 0)
    second = (first[0] + dx, first[1] + dy, first[2] + dx, first[3] + dy)
    contrast_first = maker.contrast in ("left", "top")
    return Layout(
        rows=_round_up_to_even(second[3] + foot),
        columns=_round_up_to_even(second[2] + edge),
        banner=banner,
        contrast=first if contrast_first else second,
        bmode=second if contrast_first else first,
    )


def _round_up_to_even(value: int) -> int:
    return value + value % 2


def compose_screens(
    contrast: U8, bmode: U8 | None, seconds: Sequence[float], maker: Maker, caption: Caption
) -> Iterator[U8]:
    """Screens (h w 3) RGB of one clip from its panes (t h w) and frame times (s after injection), one by one."""
    layout = compute_layout(maker, (contrast.shape[1], contrast.shape[2]), bmode is None)
    empty = _draw_frame(layout, maker, caption)
    tint = TINTS[maker.tint]
    for i, second in enumerate(seconds):
        screen = empty.copy()
        _paste(screen, layout.contrast, np.take(tint, contrast[i], axis=0))
        if bmode is not None and layout.bmode is not None:
            _paste(screen, layout.bmode, bmode[i][:, :, None])
        minutes, rest = divmod(int(second), 60)
        text = f"{minutes:02d}:{rest:02d} MI 0.08"
        _write_text(screen, text, (layout.contrast[0], layout.rows - 3), _compute_text_height(layout))
        yield screen


def _paste(screen: U8, box: Box, pixels: U8) -> None:
    screen[box[1] : box[3], box[0] : box[2]] = pixels


def _compute_text_height(layout: Layout) -> float:
    """Height of capitals, so that two lines fit the banner and a name fits the screen."""
    return min(0.36 * layout.banner, 0.03 * layout.columns)


def _write_text(screen: U8, text: str, at: tuple[int, int], height_px: float) -> None:
    scale = max(height_px / 22.0, 0.22)  # Hershey capitals are 22 px high at scale 1
    cv2.putText(screen, text, at, cv2.FONT_HERSHEY_SIMPLEX, scale, (205, 205, 205), 1, cv2.LINE_AA)


def _draw_frame(layout: Layout, maker: Maker, caption: Caption) -> U8:
    """The constant part of the screen: banner, tint bars, rulers and marks."""
    screen = np.zeros((layout.rows, layout.columns, 3), np.uint8)
    screen[: layout.banner] = (18, 20, 26)
    size = _compute_text_height(layout)
    line = int(0.45 * layout.banner)
    _write_text(screen, f"{caption.patient} {caption.patient_id}", (2, line), size)
    _write_text(screen, f"{caption.hospital} {caption.date} {maker.model}", (2, layout.banner - 2), size)
    for box, tint in ((layout.contrast, maker.tint), (layout.bmode, "grey")):
        if box is None:
            continue
        _draw_tint_bar(screen, box, TINTS[tint], layout)
        _draw_ruler(screen, box)
        if box[0] < layout.columns / 3:
            _write_text(screen, maker.mark, (box[0] - 7, box[1] + 8), size)
    return screen


def _draw_tint_bar(screen: U8, box: Box, table: U8, layout: Layout) -> None:
    """Draw the tint bar, bright end up, left of the leftmost or right of the rightmost pane."""
    height = (box[3] - box[1]) // 3
    x = 1 if box[0] < layout.columns / 3 else layout.columns - 4
    ramp = table[np.linspace(255, 0, height).astype(np.uint8)]
    top = box[1] + height // 2
    screen[top : top + height, x : x + 3] = ramp[:, None, :]


def _draw_ruler(screen: U8, box: Box) -> None:
    """Draw depth ticks right of the pane."""
    for y in np.linspace(box[1], box[3] - 1, 9).astype(int):
        screen[y, box[2] : box[2] + 2] = 160
