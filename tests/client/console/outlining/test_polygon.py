"""An outline that a browser sends is an outline of the pane, or is refused with what to do."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ceus_models.runtime.errors import ExpectedError
from client.console.outlining.polygon import MOST_POINTS, crosses_itself, parse_polygon

SQUARE = [[10, 10], [30, 10], [30, 30], [10, 30]]


def test_points_become_an_array_without_repeats() -> None:
    found = parse_polygon([*SQUARE, [10, 30], [10, 10.0]], 40, 40)
    assert found.tolist() == [[30, 10], [30, 30], [10, 30], [10, 10]]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (None, "pairs of numbers"),
        ({"points": SQUARE}, "pairs of numbers"),
        ([[1, 2], [3, math.nan], [5, 6]], "pairs of numbers"),
        ([[1, 2], [3, math.inf], [5, 6]], "pairs of numbers"),
        ([[1, 2], [True, 4], [5, 6]], "pairs of numbers"),
        ([[1, 2], ["3", 4], [5, 6]], "pairs of numbers"),
        ([], "3 to 2000 points"),
        ([[1, 1], [9, 9], [9, 9]], "3 to 2000 points"),
        ([[n % 40, n % 37] for n in range(MOST_POINTS + 5)], "3 to 2000 points"),
        ([[-1, 10], [30, 10], [30, 30]], "inside the pane"),
        ([[10, 10], [40, 10], [30, 30]], "inside the pane"),
        ([[10, 10], [30, 10], [30, 50]], "inside the pane"),
        ([[10, 10], [30, 30], [30, 10], [10, 30]], "does not cross itself"),
        ([[10, 10], [12, 10], [12, 12], [10, 12]], "at least 9 pixels"),
    ],
)
def test_what_is_no_outline_is_refused(given: object, said: str) -> None:
    with pytest.raises(ExpectedError, match=said):
        parse_polygon(given, 50, 40)


def test_a_crossing_is_found_wherever_it_lies() -> None:
    angles = np.linspace(0, 2 * math.pi, 60, endpoint=False)
    circle = 50 + 30 * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    assert not crosses_itself(circle)
    for place in range(60):
        swapped = circle.copy()
        other = (place + 1) % 60
        swapped[[place, other]] = swapped[[other, place]]
        assert crosses_itself(swapped), place
    touching = np.array([[0, 0], [20, 0], [20, 20], [10, 0], [0, 20]], dtype=float)
    assert crosses_itself(touching), "a corner on another side"
    assert not crosses_itself(np.array([[0, 0], [10, 0], [20, 0], [20, 20]], dtype=float)), "three points on a line"
    assert not crosses_itself(np.array([[0, 0], [20, 0], [10, 20]], dtype=float))
