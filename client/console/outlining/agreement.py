"""How well two outlines of a lesion agree: Dice's coefficient and the Hausdorff distance."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from scipy.spatial.distance import directed_hausdorff

from client.data.imaging.recording import F64, U8
from client.data.outlines.outline import bounding_box

_FINE = 8
"""Pixels of the comparison to one of the pane: an outline lies between pixels."""
_STEP_PX = 0.25
"""Of the points along an outline, between which distances are taken."""
_MOST_SIDE = 8192


@dataclass(frozen=True, slots=True)
class Agreement:
    """Of two outlines.

    Attributes:
        dice: Twice the common area over the sum of both, 0-1 (Dice 1945).
        hausdorff: The farthest that a point of one outline lies from the other outline (Huttenlocher 1993).
        unit: "mm", or "px" where the clip states no scale.
    """

    dice: float
    hausdorff: float
    unit: str


def compare_outlines(one: F64, other: F64, mm_per_pixel: float | None) -> Agreement:
    """Compare two polygons (n 2), px, in the coordinates of one pane.

    >>> square = np.array([[0.0, 0.0], [10.0, 0.0], [10.0, 10.0], [0.0, 10.0]])
    >>> found = compare_outlines(square, square + [2.0, 0.0], 0.5)
    >>> round(found.dice, 2), found.hausdorff, found.unit
    (0.8, 1.0, 'mm')
    """
    dice = _compute_dice(one, other)
    points, others = _walk(one), _walk(other)
    pixels = max(directed_hausdorff(points, others)[0], directed_hausdorff(others, points)[0])
    if mm_per_pixel is None:
        return Agreement(dice, float(pixels), "px")
    return Agreement(dice, float(pixels) * mm_per_pixel, "mm")


def _compute_dice(one: F64, other: F64) -> float:
    x0, y0, x1, y1 = bounding_box(np.concatenate([one, other]))
    fine = min(_FINE, max(1, int(_MOST_SIDE / max(x1 - x0, y1 - y0, 1.0))))
    shape = (int((y1 - y0) * fine) + 3, int((x1 - x0) * fine) + 3)
    masks = [_fill((polygon - (x0, y0)) * fine + 1.0, shape) for polygon in (one, other)]
    common = np.count_nonzero(masks[0] & masks[1])
    return float(2.0 * common / (np.count_nonzero(masks[0]) + np.count_nonzero(masks[1])))


def _fill(polygon: F64, shape: tuple[int, int]) -> U8:
    mask = np.zeros(shape, dtype=np.uint8)
    cv2.fillPoly(mask, [np.rint(polygon).astype(np.int32)], 1)
    return mask


def _walk(polygon: F64) -> F64:
    """Points along a closed outline, at most _STEP_PX apart."""
    sides = np.roll(polygon, -1, axis=0) - polygon
    counts = np.maximum(1, np.ceil(np.hypot(sides[:, 0], sides[:, 1]) / _STEP_PX)).astype(int)
    pieces = [
        start + side * (np.arange(count) / count)[:, None]
        for start, side, count in zip(polygon, sides, counts.tolist(), strict=True)
    ]
    return np.concatenate(pieces)
