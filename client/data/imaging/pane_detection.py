"""Detect the panes from the pictures alone, for screens that neither the file nor a template describes.

Two panes of a dual view have one shape, lie beside or above each other, and only one of them is tinted or enhances.
What moves as one patch is a contrast-only screen. Every result comes with its confidence.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from client.data.imaging import tint
from client.data.imaging.fan import CHANGES, Mask, fan_in, hull, patches, span
from client.data.imaging.recording import U8, Box

GLANCES = 16
"""Pictures over the clip that a detection needs."""
SURE = 0.6
"""Confidence below which a finding is not used."""
_SECOND = 0.4
"""Share of the largest patch's area that a second pane has at least."""
_OVERLAP = 0.7
"""Panes beside each other share at least this part of their height, panes above each other of their width."""
_SEAM, _SHARPEST = 2.0, 99
"""How much sharper than either side the edge between two panes without a gap is, and than how many % of all edges."""
_CENTRE = 0.06
"""A seam lies this near to the middle, as a share of the width."""
_COLOUR = 4.0
"""Mean |R - B| of both panes together below which neither is tinted."""
_LONG = 1.3
"""A patch with longer sides than this times the shorter may be two panes."""
_SHIFT_PX = 6
_IN_LINE = 0.05
"""Intersection over union that panes in line may lack to panes that are not."""
_LOSSY = 24
"""Levels of change that no codec smears into the gap between two panes."""


@dataclass(frozen=True, slots=True)
class Found:
    """Panes and how sure they are, 0-1. bmode: None on a contrast-only screen."""

    contrast: Box
    bmode: Box | None
    confidence: float


def detect(pictures: Sequence[U8]) -> Found | None:
    """The panes of pictures RGB (h w 3) spread over a clip; None where nothing large moves."""
    levels = [np.ascontiguousarray(picture.max(axis=2)) for picture in pictures]
    changes = span(levels)
    found = [patches(changes >= least) for least in (*CHANGES, _LOSSY)]
    pairs = [_aligned(hull(one[0]), hull(one[1])) for one in found if len(one) > 1 and _are_beside(one[0], one[1])]
    if pairs:
        boxes, alike = max(pairs, key=lambda pair: pair[1])
        return _told_apart(boxes, alike, pictures)
    single = fan_in(changes)
    if single is None:
        return None
    fan, solid = single
    box = _bounds(fan)
    halves = _halves(box)
    if _has_seam(pictures, box):
        boxes, alike = _aligned(_only(fan, halves[0]), _only(fan, halves[1]))
        return _told_apart(boxes, alike, pictures)
    doubt = _told_apart(halves, 1.0, pictures).confidence if _LONG * min(_sides(box)) < max(_sides(box)) else 0.0
    return Found(box, None, solid * (1.0 - doubt**2))


def _bounds(mask: Mask) -> Box:
    x, y, width, height = cv2.boundingRect(mask.astype(np.uint8))
    return x, y, x + width, y + height


def _are_beside(first: Mask, second: Mask) -> bool:
    """Whether two patches can be the panes of a dual view."""
    if second.sum() < _SECOND * first.sum():
        return False
    a, b = _bounds(first), _bounds(second)
    shared = [min(a[axis + 2], b[axis + 2]) - max(a[axis], b[axis]) for axis in (0, 1)]
    sides = [max(box[axis + 2] - box[axis] for box in (a, b)) for axis in (0, 1)]
    # apart along one axis, in line along the other
    return min(shared) <= 0 and max(share / side for share, side in zip(shared, sides, strict=True)) >= _OVERLAP


def _aligned(first: Mask, second: Mask) -> tuple[tuple[Box, Box], float]:
    """Boxes of one size around two fans of one shape, and how alike the shapes are (intersection over union).

    The shift from one to the other is that of their best overlap, since a lesion is outlined on one pane and measured
    on the other.
    """
    a, b = _bounds(first), _bounds(second)
    around = (b[0] + b[2] - a[0] - a[2]) // 2, (b[1] + b[3] - a[1] - a[3]) // 2
    one = np.pad(first[a[1] : a[3], a[0] : a[2]], 2 * _SHIFT_PX)
    steps = range(-_SHIFT_PX, _SHIFT_PX + 1)
    scores = {}
    for shift in ((around[0] + dx, around[1] + dy) for dy in steps for dx in steps):
        x, y = a[0] + shift[0] - 2 * _SHIFT_PX, a[1] + shift[1] - 2 * _SHIFT_PX
        # panes stand in line: text at the foot of one of them must not push the other one down
        scores[shift] = _alike(one, _cut(second, x, y, one.shape)), 0 in shift
    best = max(scores, key=lambda shift: scores[shift][0] + _IN_LINE * scores[shift][1])
    return _around(a, b, best, first.shape), scores[best][0]


def _around(a: Box, b: Box, shift: tuple[int, int], shape: tuple[int, ...]) -> tuple[Box, Box]:
    """The box around a and b when b is moved back by the shift, and the same box moved; both inside the screen."""
    x0, y0 = max(min(a[0], b[0] - shift[0]), 0, -shift[0]), max(min(a[1], b[1] - shift[1]), 0, -shift[1])
    x1 = min(max(a[2], b[2] - shift[0]), shape[1], shape[1] - shift[0])
    y1 = min(max(a[3], b[3] - shift[1]), shape[0], shape[0] - shift[1])
    return (x0, y0, x1, y1), (x0 + shift[0], y0 + shift[1], x1 + shift[0], y1 + shift[1])


def _cut(mask: Mask, x: int, y: int, shape: tuple[int, ...]) -> Mask:
    """A part of a mask, False where it reaches beyond it."""
    part = np.zeros(shape, bool)
    rows = slice(max(y, 0), max(y + shape[0], 0))
    columns = slice(max(x, 0), max(x + shape[1], 0))
    inside = mask[rows, columns]
    part[max(-y, 0) : max(-y, 0) + inside.shape[0], max(-x, 0) : max(-x, 0) + inside.shape[1]] = inside
    return part


def _alike(one: Mask, other: Mask) -> float:
    return float((one & other).sum() / max(1, (one | other).sum()))


def _has_seam(pictures: Sequence[U8], box: Box) -> bool:
    """Whether a patch is two panes without a gap: neighbours differ most across its middle."""
    x0, y0, x1, y1 = box
    axis = 1 if x1 - x0 >= y1 - y0 else 0
    shown = [picture[y0:y1, x0:x1].astype(np.int16) for picture in pictures]
    profile = np.mean([np.abs(np.diff(picture, axis=axis)).mean(axis=(1 - axis, 2)) for picture in shown], axis=0)
    reach = max(1, round(_CENTRE * len(profile)))
    near = profile[max(0, len(profile) // 2 - reach) : len(profile) // 2 + reach + 1]
    sides = np.median(profile[: len(profile) // 2]), np.median(profile[len(profile) // 2 :])
    return bool(near.max() >= np.percentile(profile, _SHARPEST) and near.max() > _SEAM * max(sides))


def _halves(box: Box) -> tuple[Box, Box]:
    """Both halves of a box along its longer side."""
    x0, y0, x1, y1 = box
    x, y = (x0 + x1) // 2, (y0 + y1) // 2
    if x1 - x0 >= y1 - y0:
        return (x0, y0, x, y1), (x, y0, 2 * x - x0, y1)
    return (x0, y0, x1, y), (x0, y, x1, 2 * y - y0)


def _only(mask: Mask, box: Box) -> Mask:
    part = np.zeros_like(mask)
    part[box[1] : box[3], box[0] : box[2]] = mask[box[1] : box[3], box[0] : box[2]]
    return part


def _sides(box: Box) -> tuple[int, int]:
    return box[2] - box[0], box[3] - box[1]


def _told_apart(boxes: tuple[Box, Box], alike: float, pictures: Sequence[U8]) -> Found:
    """The tinted pane is contrast; of two grey ones, the one whose mean level rises."""
    panes = [[picture[b[1] : b[3], b[0] : b[2]] for picture in pictures] for b in boxes]
    colours = [max(tint.colour(picture) for picture in pane) for pane in panes]
    rises = [float(np.ptp([picture.mean() for picture in pane])) for pane in panes]
    by_colour = (colours[0] - colours[1]) / max(_COLOUR, sum(colours))
    by_rise = (rises[0] - rises[1]) / max(1.0, sum(rises))
    told = by_colour if abs(by_colour) > abs(by_rise) else by_rise
    contrast, bmode = boxes if told > 0 else (boxes[1], boxes[0])
    return Found(contrast, bmode, min(alike**2, abs(told), 1.0))
