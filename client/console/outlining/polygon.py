"""What a browser sends as an outline, checked before anything is made of it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ceus_models.runtime.errors import ExpectedError
from client.data.imaging.recording import F64
from client.data.outlines.annotation import is_point
from client.data.outlines.outline import MIN_AREA_PX, bounding_box

MOST_POINTS = 2000


def parse_polygon(given: object, rows: int, columns: int) -> F64:
    """An outline f64 (n 2) in a pane of rows x columns pixels.

    Raises:
        ExpectedError: it is no list of pairs of numbers, has too few or too many, leaves the pane, crosses itself, or
            is smaller than any lesion.
    """
    if not isinstance(given, list) or not all(map(is_point, given)):
        raise ExpectedError("expected an outline of pairs of numbers, found something else; load the page again")
    polygon = _drop_repeats(np.asarray(given[: MOST_POINTS + 1], dtype=np.float64).reshape(-1, 2))
    if not 3 <= len(polygon) <= MOST_POINTS:
        raise ExpectedError(f"an outline has 3 to {MOST_POINTS} points, this one has {len(polygon)}; draw it again")
    x0, y0, x1, y1 = bounding_box(polygon)
    if min(x0, y0) < 0 or x1 > columns - 1 or y1 > rows - 1:
        raise ExpectedError("an outline lies inside the pane, this one leaves it; move the points that lie outside")
    if crosses_itself(polygon):
        raise ExpectedError("an outline does not cross itself, this one does; move the points at the crossing")
    area = 0.5 * abs(float(np.sum(_cross(polygon, np.roll(polygon, -1, axis=0)))))
    if area < MIN_AREA_PX:
        raise ExpectedError(
            f"an outline encloses at least {MIN_AREA_PX:.0f} pixels, this one {area:.1f}; draw around the whole lesion"
        )
    return polygon


def _drop_repeats(polygon: F64) -> F64:
    """Without points that equal the one before: a click may be counted twice."""
    return np.asarray(polygon[(polygon != np.roll(polygon, 1, axis=0)).any(axis=1)])


def crosses_itself(polygon: F64) -> bool:
    """Whether two sides of a closed polygon (n 2) meet elsewhere than at a common point.

    By the signs of the triangles that the ends of one side form with the other (Cormen 2009, section 33.1).
    """
    start, end = polygon, np.roll(polygon, -1, axis=0)
    count = len(polygon)
    first, second = np.triu_indices(count, 2)
    apart = ~((first == 0) & (second == count - 1))  # the last side ends where the first one starts
    first, second = first[apart], second[apart]
    a, b, c, d = start[first], end[first], start[second], end[second]
    left, right = _turn(a, b, c), _turn(a, b, d)
    below, above = _turn(c, d, a), _turn(c, d, b)
    proper = (left * right < 0) & (below * above < 0)
    touching = _lies_on(left, a, b, c) | _lies_on(right, a, b, d) | _lies_on(below, c, d, a) | _lies_on(above, c, d, b)
    return bool((proper | touching).any())


def _cross(one: F64, other: F64) -> F64:
    return np.asarray(one[:, 0] * other[:, 1] - one[:, 1] * other[:, 0])


def _turn(a: F64, b: F64, c: F64) -> F64:
    """Sign of the turn a → b → c; 0 on one line."""
    return np.asarray(np.sign(_cross(b - a, c - a)))


def _lies_on(turn: F64, a: F64, b: F64, c: F64) -> npt.NDArray[np.bool_]:
    """Whether c, on the line through a and b where turn is 0, lies between them."""
    within = (np.minimum(a, b) <= c).all(axis=1) & (c <= np.maximum(a, b)).all(axis=1)
    return np.asarray((turn == 0) & within)
