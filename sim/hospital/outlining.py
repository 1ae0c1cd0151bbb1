"""The radiologist's outline of the lesion, with the imprecision of manual drawing, as hospitals' files."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from sim.hospital.screens import Box, Layout
from sim.phantom.shapes import Outline


def draw_manual_outline(
    outline: Outline, shift_px: npt.NDArray[np.float64], rng: np.random.Generator
) -> npt.NDArray[np.float64]:
    """The outline (n 2) as (x, y) on the pane, with errors of size, position and shape."""
    points = outline.points(32)
    centre = np.array([outline.x, outline.y])
    angle = np.linspace(0, 2 * np.pi, len(points), endpoint=False)
    waves = [0.02 * rng.standard_normal() * np.cos(k * angle + rng.uniform(0, 6.3)) for k in (1, 2, 3, 4)]
    scale = (1.03 + 0.03 * rng.standard_normal() + np.sum(waves, axis=0))[:, None]
    slip = 0.02 * outline.radius_px * rng.standard_normal(2)
    return np.asarray(centre + (points - centre) * scale + slip + shift_px)


def move_to_screen(points: npt.NDArray[np.float64], box: Box) -> npt.NDArray[np.float64]:
    """Points (n 2) of a pane in screen px, clipped to the pane."""
    low = np.array(box[:2], dtype=np.float64)
    return np.clip(points + low, low, np.array(box[2:]) - 1.0)


def write_polygon(path: Path, points: npt.NDArray[np.float64], layout: Layout, frame: int) -> None:
    """Write a polygon as LabelMe JSON."""
    shape = {"label": "lesion", "points": np.round(points, 2).tolist(), "shape_type": "polygon"}
    document = {"shapes": [shape], "imageHeight": layout.rows, "imageWidth": layout.columns, "frame": frame}
    path.write_text(json.dumps(document), encoding="utf-8")


def write_mask(path: Path, points: npt.NDArray[np.float64], layout: Layout) -> None:
    """Write a mask as PNG of the screen's size, 255 inside."""
    mask = np.zeros((layout.rows, layout.columns), np.uint8)
    cv2.fillPoly(mask, [np.rint(points).astype(np.int32)], 255)
    done, code = cv2.imencode(".png", mask)
    if not done:
        raise OSError("expected OpenCV with PNG, it cannot encode; install opencv-python-headless with PNG")
    path.write_bytes(code.tobytes())
