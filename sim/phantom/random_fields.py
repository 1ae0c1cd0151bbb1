"""Gaussian blur with sub-pixel shift, and smooth random fields, as products of small matrices.

The shift is part of the blur and needs no interpolation, so a moving speckle pattern is as sharp as a still one.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import numpy.typing as npt

F32 = npt.NDArray[np.float32]


def gaussian_rows(outputs: F32, inputs: int, sigma: float) -> F32:
    """Weights (o i) with which samples 0..i-1 contribute at positions `outputs` (in samples); unit energy a row.

    White noise of unit power keeps unit power through them.
    """
    distance = outputs[:, None] - np.arange(inputs, dtype=np.float32)[None, :]
    weights: F32 = np.exp(-(distance**2) / np.float32(2 * sigma**2)) / np.float32((np.pi * sigma**2) ** 0.25)
    return weights


def draw_smooth_field(shape: tuple[int, int], scale_px: float, rng: np.random.Generator) -> F32:
    """Draw a standard normal random field (h w) with a correlation length of about `scale_px`."""
    scale = max(scale_px, 1.0)
    coarse = [int(np.ceil(n / scale)) + 7 for n in shape]
    noise = rng.standard_normal(coarse, dtype=np.float32)
    rows, columns = (
        gaussian_rows((np.arange(n, dtype=np.float32) / np.float32(scale)) + 3, m, 0.7)
        for n, m in zip(shape, coarse, strict=True)
    )
    return np.asarray(rows @ noise @ columns.T, dtype=np.float32)


def distance_to_path(y: F32, x: F32, path: npt.NDArray[np.float64]) -> F32:
    """Distance (h w) of every pixel to a polyline with vertices (n, 2) as (y, x)."""
    best = np.full(np.broadcast_shapes(y.shape, x.shape), np.float32(np.inf))
    for (y0, x0), (y1, x1) in pairwise(path):
        dy, dx = np.float32(y1 - y0), np.float32(x1 - x0)
        along = np.clip(((y - y0) * dy + (x - x0) * dx) / (dy**2 + dx**2 + np.float32(1e-6)), 0, 1)
        np.minimum(best, np.hypot(y - y0 - along * dy, x - x0 - along * dx), out=best)
    return np.asarray(best, dtype=np.float32)


def soft_step(value: npt.NDArray[np.floating], width: float) -> F32:
    """A step at 0 from 0 to 1, linear over `width`.

    >>> soft_step(np.array([-1.0, 0.0, 0.5]), 2.0).tolist()
    [0.0, 0.5, 0.75]
    """
    return np.asarray(np.clip(value / np.float32(width) + np.float32(0.5), 0, 1), dtype=np.float32)
