"""Colour maps of contrast panes, inverted: from the displayed colour back to the level of the scanner.

A luminance conversion would compress the levels a second time (gold: level 240 shows as grey 218, 96 as 65), so each
map is inverted through the channel that rises with the level.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import cast

import cv2
import numpy as np
import numpy.typing as npt

U8 = npt.NDArray[np.uint8]

_COLOURED = 1.5
"""Mean |R - B| of a pane above which it counts as tinted; grey panes stay below it after JPEG."""
_BRIGHT = 24
"""Pixels darker than this level have no colour to speak of."""


@dataclass(frozen=True)
class Tint:
    """A colour map: rows (level, R, G, B), rising in level, linear in between, and the channel that tells the level.

    Attributes:
        channel: 0 R, 1 G, 2 B.
        grey: Whether R, G and B are equal all along the map, so that luma is the level too.
    """

    points: tuple[tuple[int, int, int, int], ...]
    channel: int
    grey: bool = False

    def forward(self) -> U8:
        """The map as a table (256 3)."""
        table = np.array(self.points, dtype=np.float64)  # (n 4)
        levels = np.arange(256)
        colours = [np.interp(levels, table[:, 0], table[:, c]) for c in (1, 2, 3)]
        return np.rint(np.stack(colours, axis=1)).astype(np.uint8)

    def inverse(self) -> U8:
        """The level of every value of the telling channel (256)."""
        table = np.array(self.points, dtype=np.float64)
        levels = np.interp(np.arange(256), table[:, 1 + self.channel], table[:, 0])
        return np.rint(levels).astype(np.uint8)


_GOLD = (
    (0, 0, 1, 1),
    (24, 24, 15, 12),
    (48, 48, 30, 23),
    (72, 72, 43, 31),
    (96, 96, 55, 37),
    (120, 120, 69, 43),
    (144, 144, 88, 52),
    (168, 168, 112, 67),
    (192, 192, 140, 88),
    (216, 216, 173, 116),
    (240, 240, 215, 174),
    (255, 255, 241, 210),
)
"""Measured on a Philips dual-view still; the last row continues it."""

TINTS: Mapping[str, Tint] = {
    "grey": Tint(((0, 0, 0, 0), (255, 255, 255, 255)), 1, grey=True),
    "gold": Tint(_GOLD, 0),
}
BRIGHTEST = "brightest"
"""For every map that is not in the table: the pane's brightest channel is the level (amber, copper, green, ice)."""


class LevelConverter:
    """The levels behind the displayed colours of one pane, picture by picture; every one is put where the last was."""

    def __init__(self, rows: int, columns: int, tint: Tint) -> None:
        """rows, columns: of the pane, px."""
        self._channel, self._table = tint.channel, invert(tint)
        self._planes = [np.empty((rows, columns), np.uint8) for _ in range(3)]
        self._levels = np.empty((rows, columns), np.uint8)

    def convert(self, rgb: U8) -> U8:
        """Levels u8 (h w) of colours u8 (h w 3), good until the next call."""
        cv2.split(rgb, self._planes)  # twice as fast as taking the one channel
        plane = self._planes[self._channel]
        return plane if self._table is None else cast(U8, cv2.LUT(plane, self._table, self._levels))


def recover_levels(rgb: U8, tint: Tint) -> U8:
    """Levels u8 (h w) behind displayed colours u8 (h w 3)."""
    return LevelConverter(rgb.shape[0], rgb.shape[1], tint).convert(rgb)


@lru_cache(maxsize=64)
def invert(tint: Tint) -> U8 | None:
    """The level of every value of the map's telling channel (256), None where the value is the level already."""
    table = tint.inverse()
    return None if np.array_equal(table, np.arange(256)) else table


def measure_colour(rgb: U8) -> float:
    """Mean |R - B| of a picture (h w 3) in levels: about 0 for grey, tens for a tinted pane with contrast in it."""
    return float(np.abs(rgb[..., 0].astype(np.int16) - rgb[..., 2]).mean())


def is_coloured(rgb: U8) -> bool:
    """Whether a picture (h w 3) is tinted."""
    return measure_colour(rgb) > _COLOURED


def find_tint(name: str, pictures: Sequence[U8], tints: Mapping[str, Tint]) -> Tint:
    """The map that a template names; one that is not in the table is read by its brightest channel."""
    return tints[name] if name in tints else _take_brightest_channel(pictures)


def guess_tint(pictures: Sequence[U8], tints: Mapping[str, Tint]) -> Tint:
    """The map that pictures (h w 3) of one pane were shown with: the nearest one of the table, else the brightest
    channel.
    """
    if not any(is_coloured(picture) for picture in pictures):
        return TINTS["grey"]
    pixels = np.concatenate([picture.reshape(-1, 3) for picture in pictures])
    pixels = pixels[pixels.max(axis=1) >= _BRIGHT]
    pixels = pixels[:: max(1, len(pixels) // 5000)]
    if len(pixels) == 0:
        return _take_brightest_channel(pictures)
    misfits = {name: _compute_misfit(pixels, tint) for name, tint in tints.items() if name != "grey"}
    best = min(misfits, key=misfits.__getitem__)
    return tints[best] if misfits[best] < _MISFIT else _take_brightest_channel(pictures)


_MISFIT = 12.0
"""Mean distance in colour beyond which a map of the table does not explain the pixels."""


def _take_brightest_channel(pictures: Sequence[U8]) -> Tint:
    """Of the whole clip, not pixel by pixel or frame by frame: max(R, G, B) of grey noise reads high, and the brightest
    channel of a dark frame changes with the noise.
    """
    sums = sum(picture.sum(axis=(0, 1), dtype=np.int64) for picture in pictures)
    return Tint(((0, 0, 0, 0), (255, 255, 255, 255)), int(np.argmax(sums)))


def _compute_misfit(pixels: U8, tint: Tint) -> float:
    told = tint.inverse()[pixels[:, tint.channel]]
    shown = tint.forward()[told]  # (n 3)
    return float(np.abs(shown.astype(np.int16) - pixels).sum(axis=1).mean())
