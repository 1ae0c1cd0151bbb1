"""Random changes of a lesion's outline: scaled, shifted, or both."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from client.data.imaging.recording import F64
from sim.experiments.experiment_file import Change


@dataclass(frozen=True)
class Drawn:
    """A change of an outline: scale about the centroid, and shift right and down in units of its size.

    The size is the diameter of the circle of the same area.
    """

    scale: float
    shift: tuple[float, float]


def draw(change: Change, amount: float, seed: int) -> Drawn:
    """Draw a uniform change: expand scales by 1 to 1 + amount, shrink by 1 - amount to 1, move shifts by up to `amount`
    of the size in any direction, combined does both, scaling by 1 - amount to 1 + amount.
    """
    generator = np.random.default_rng(seed)
    step, angle = amount * generator.random(), generator.uniform(0, 2 * math.pi)
    far = amount * generator.random() if change in ("move", "combined") else 0.0
    scale = {"expand": 1 + step, "shrink": 1 - step, "move": 1.0, "combined": 1 + generator.choice((-1, 1)) * step}
    return Drawn(float(scale[change]), (far * math.cos(angle), far * math.sin(angle)))


def changed(polygon: F64, drawn: Drawn, rows: int, columns: int) -> F64:
    """The changed polygon (n 2), clipped to a pane of `rows` x `columns` px."""
    centre = _centroid(polygon)
    size = 2 * math.sqrt(area(polygon) / math.pi)
    points = centre + (polygon - centre) * drawn.scale + np.array(drawn.shift) * size
    return np.asarray(np.clip(points, 0.0, (columns - 1.0, rows - 1.0)), dtype=np.float64)


def area(polygon: F64) -> float:
    """Area of a polygon (n 2) in px²."""
    return float(cv2.contourArea(polygon.astype(np.float32)))


def _centroid(polygon: F64) -> F64:
    moments = cv2.moments(polygon.astype(np.float32))
    return np.array([moments["m10"], moments["m01"]]) / moments["m00"]
