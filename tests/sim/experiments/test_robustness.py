"""Changed outlines: bounds of what is drawn, and the geometry of what becomes of a polygon."""

from __future__ import annotations

import math

import numpy as np
import pytest

from sim.experiments.robustness import area, change_outline, draw_change

ANGLE = np.linspace(0, 2 * math.pi, 64, endpoint=False)
ROUND = np.stack([40 + 10 * np.cos(ANGLE), 30 + 10 * np.sin(ANGLE)], axis=1)


@pytest.mark.parametrize(
    ("change", "low", "high", "moves"),
    [("expand", 1.0, 1.2, False), ("shrink", 0.8, 1.0, False), ("move", 1.0, 1.0, True), ("combined", 0.8, 1.2, True)],
)
def test_draws_stay_within_the_amount_and_use_it(change: str, low: float, high: float, moves: bool) -> None:
    drawn = [draw_change(change, 0.2, seed) for seed in range(200)]  # type: ignore[arg-type]
    scales, shifts = [d.scale for d in drawn], [math.hypot(*d.shift) for d in drawn]
    assert low <= min(scales) <= max(scales) <= high
    assert max(shifts) <= 0.2
    assert (max(shifts) > 0.15) == moves
    if change == "combined":
        assert min(scales) < 0.9
        assert max(scales) > 1.1
    assert drawn == [draw_change(change, 0.2, seed) for seed in range(200)]  # type: ignore[arg-type]


def test_area_and_place_follow_the_draw() -> None:
    grown = change_outline(ROUND, draw_change("expand", 0.2, 3), 80, 100)
    assert area(grown) == pytest.approx(area(ROUND) * draw_change("expand", 0.2, 3).scale ** 2, rel=1e-4)
    assert grown.mean(0) == pytest.approx(ROUND.mean(0), abs=1e-4)
    moved = draw_change("move", 0.2, 3)
    size = 2 * math.sqrt(area(ROUND) / math.pi)
    gone = change_outline(ROUND, moved, 80, 100).mean(0) - ROUND.mean(0)
    assert gone == pytest.approx(np.array(moved.shift) * size, abs=1e-3)


def test_an_outline_stays_in_its_pane() -> None:
    near = ROUND - np.array([30.0, 20.0])  # touches two borders
    out = change_outline(near, draw_change("expand", 0.5, 8), 22, 22)
    assert out.min() >= 0
    assert out.max() <= 21
