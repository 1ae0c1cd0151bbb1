"""Find the fan of a pane: the part that changes over the clip. Text, rulers and bars beside it do not change.

The fan (a sector, or a rectangle) is estimated as the convex hull of all large patches of pixels that change over the
clip. A hull is never smaller than what it is drawn around, so what is masked has never changed in the sampled frames.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from client.data.imaging.frame_store import Frames

U8 = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]

SAMPLED = 64
"""Frames that the change is measured over; every frame would cost as much as decoding and show the same."""
CHANGES = (3, 10)
"""Levels by which a pixel changes. The darkest parts of a real fan change by the first; so does still text where a
codec's quality varies, which the second leaves out."""
_SOLID = 0.02
"""By how much more of its hull the second must fill to be believed over the first, which never eats into a fan."""
_PATCH = 0.2
"""Share of the largest patch that another one has at least: a second pane has, a timer or a moving cursor has not."""
_FAN = 0.1
"""Share of the picture below which what moves is no fan."""
_MARGIN_PX = 2


def measure_change(pictures: Sequence[U8]) -> U8:
    """By how many levels each pixel (h w) changes over pictures of levels (h w)."""
    low = high = pictures[0]
    for picture in pictures[1:]:
        low, high = np.minimum(low, picture), np.maximum(high, picture)
    return high - low


def find_patches(moving: Mask) -> list[Mask]:
    """The large connected patches of a mask (h w), the largest first: speckle closed, thin strokes of text removed."""
    side = 3 if min(moving.shape) < 200 else 5
    kernel = np.ones((side, side), np.uint8)
    closed = cv2.morphologyEx(moving.astype(np.uint8), cv2.MORPH_CLOSE, kernel)
    opened = cv2.morphologyEx(closed, cv2.MORPH_OPEN, np.ones((side + 2, side + 2), np.uint8))
    _, labels, stats, _ = cv2.connectedComponentsWithStats(opened, connectivity=8)
    areas = stats[1:, cv2.CC_STAT_AREA]
    order = [int(number) for number in np.argsort(-areas, kind="stable") if areas[number] >= _PATCH * areas.max()]
    return [np.asarray(labels == 1 + number) for number in order]


def convex_hull(mask: Mask) -> Mask:
    """The convex hull of a mask (h w) that is not empty."""
    filled = np.zeros(mask.shape, np.uint8)
    outlines, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    cv2.fillConvexPoly(filled, cv2.convexHull(np.concatenate(outlines)), 1)
    return filled.astype(bool)


def find_moving_fan(changes: U8) -> tuple[Mask, float] | None:
    """The hull (h w) of what moves, and its moving share; None where nothing moves. changes: see `measure_change`."""
    found = []
    for least in CHANGES:
        large = find_patches(changes >= least)
        if large:
            moving = np.logical_or.reduce(large)
            around = convex_hull(moving)
            found.append((around, float(moving[around].mean())))
    if not found:
        return None
    return found[-1] if found[-1][1] > found[0][1] + _SOLID else found[0]


def find_fan(panes: Sequence[Frames]) -> Mask | None:
    """The fan (h w) of panes (t h w) with one geometry, grown by a margin; None where too little moves to tell it."""
    changes = np.zeros(panes[0].shape[1:], np.uint8)
    for pane in panes:
        frames = np.unique(np.linspace(0, len(pane) - 1, SAMPLED).round().astype(int))
        changes = np.maximum(changes, measure_change([pane[frame] for frame in frames]))
    found = find_moving_fan(changes)
    if found is None or found[0].mean() < _FAN:
        return None
    grown = cv2.dilate(found[0].astype(np.uint8), np.ones((2 * _MARGIN_PX + 1,) * 2, np.uint8))
    return grown.astype(bool)
