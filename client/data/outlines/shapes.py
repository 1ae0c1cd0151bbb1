"""The shapes of drawing tools that are no polygons, as polygons; points are (x, y) in pixels."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from client.data.outlines.annotation import F64, is_point, malformed_error

CORNERS = 64
"""Of the polygon in place of an ellipse: its area is 0.2 % smaller."""


def trace_circle(points: Any) -> F64:
    """A circle (n 2) by its center and a point of its border, as LabelMe and DICOM keep it. Raises OutlineError."""
    (x, y), (border_x, border_y) = check_points(points, 2, "a circle has its center and a point of its border")
    radius = math.hypot(border_x - x, border_y - y)
    return trace_ellipse((x, y), (radius, radius))


def trace_ellipse(center: tuple[float, float], radii: tuple[float, float], degrees: float = 0.0) -> F64:
    """An ellipse (n 2). degrees: by which it is turned clockwise on the screen."""
    angles = np.linspace(0.0, 2.0 * np.pi, CORNERS, endpoint=False)
    return turn(np.stack([radii[0] * np.cos(angles), radii[1] * np.sin(angles)], axis=1) + center, degrees)


def trace_rectangle(points: Any, degrees: float = 0.0) -> F64:
    """A rectangle (4 2) by two corners that lie opposite, turned clockwise about its center. Raises OutlineError."""
    (x0, y0), (x1, y1) = check_points(points, 2, "a rectangle has two corners")
    return turn(np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], dtype=np.float64), degrees)


def turn(polygon: F64, degrees: float) -> F64:
    """A polygon (n 2) turned about the middle of its corners."""
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    center = polygon.mean(axis=0)
    return np.asarray((polygon - center) @ np.array([[cosine, sine], [-sine, cosine]]) + center)


def check_points(points: Any, count: int, rule: str) -> list[tuple[float, float]]:
    """As many points as a shape has. Raises OutlineError."""
    if not isinstance(points, list) or len(points) != count or not all(map(is_point, points)):
        raise malformed_error(rule, "something else")
    return [(float(x), float(y)) for x, y in points]
