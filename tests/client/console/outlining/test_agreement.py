"""Agreement of two outlines, against closed forms."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest

from client.console.outlining.agreement import compare_outlines


def circle(radius: float, x: float = 60.0) -> npt.NDArray[np.float64]:
    angles = np.linspace(0, 2 * math.pi, 720, endpoint=False)
    return np.stack([x + radius * np.cos(angles), 60 + radius * np.sin(angles)], axis=1)


def test_an_outline_agrees_with_itself() -> None:
    found = compare_outlines(circle(20), circle(20), None)
    assert (found.dice, found.hausdorff, found.unit) == (1.0, 0.0, "px")


def test_circles_one_in_the_other() -> None:
    """Areas r² and R²: Dice = 2 r² / (r² + R²); the distance is R - r everywhere."""
    found = compare_outlines(circle(15), circle(20), 0.2)
    assert found.dice == pytest.approx(2 * 225 / (225 + 400), abs=0.005)
    assert found.hausdorff == pytest.approx(5 * 0.2, abs=0.02)
    assert found.unit == "mm"


def test_circles_side_by_side() -> None:
    """Two discs of radius r at distance d share 2 r² acos(d / 2r) - d/2 sqrt(4 r² - d²)."""
    r, d = 20.0, 10.0
    shared = 2 * r * r * math.acos(d / (2 * r)) - d / 2 * math.sqrt(4 * r * r - d * d)
    found = compare_outlines(circle(r), circle(r, 60 + d), None)
    assert found.dice == pytest.approx(shared / (math.pi * r * r), abs=0.005)
    assert found.hausdorff == pytest.approx(d, abs=0.05)


def test_outlines_apart_share_nothing_and_the_order_does_not_matter() -> None:
    one, other = circle(10), circle(20, 200)
    assert compare_outlines(one, other, None) == compare_outlines(other, one, None)
    assert compare_outlines(one, other, None).dice == 0.0


def test_distance_is_from_the_outline_not_from_its_corners() -> None:
    """A square against one with a corner cut off: the cut's middle lies sqrt(2) * 5 from the corner."""
    square = np.array([[0.0, 0.0], [40.0, 0.0], [40.0, 40.0], [0.0, 40.0]])
    cut = np.array([[10.0, 0.0], [40.0, 0.0], [40.0, 40.0], [0.0, 40.0], [0.0, 10.0]])
    assert compare_outlines(square, cut, None).hausdorff == pytest.approx(5 * math.sqrt(2), abs=0.1)
