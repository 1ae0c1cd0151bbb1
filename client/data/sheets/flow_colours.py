"""Optical flow as colours (Baker 2011): hue is the direction, brightness the length."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from matplotlib.colors import hsv_to_rgb

from client.data.imaging.recording import F64


def compute_flow_bound(flow: npt.NDArray[np.float32]) -> float:
    """The length in px that gets full colour in maps (n 2 h w): few are longer."""
    lengths = np.hypot(flow[:, 0], flow[:, 1])
    return max(float(np.percentile(lengths, 99)) if lengths.size else 0.0, 0.1)


def colour_flow(flow: npt.NDArray[np.float32], bound_px: float) -> F64:
    """Flow (2 h w) in px as colours 0..1 (h w 3): hue is the direction (right = red, down = green-yellow as on the
    wheel), brightness the length up to `bound_px`.
    """
    u, v = np.asarray(flow, dtype=np.float64)
    hue = (np.arctan2(v, u) / (2 * np.pi)) % 1.0
    length = np.clip(np.hypot(u, v) / max(bound_px, 1e-6), 0, 1)
    return np.asarray(hsv_to_rgb(np.stack([hue, np.ones_like(hue), length], axis=-1)), dtype=np.float64)


def draw_colour_wheel(side: int) -> F64:
    """The key to `colour_flow`: what each direction looks like."""
    y, x = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j]
    colours = colour_flow(np.stack([x, y]).astype(np.float32), 1.0)
    colours[np.hypot(x, y) > 1] = 1.0
    return colours
