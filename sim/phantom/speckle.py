"""Speckle: complex Gaussian fields with the power of the local number of bubbles, blurred by a point spread.

The contrast pattern refreshes because bubbles flow: a first-order autoregression plus a static part, tuned so
that the displayed pattern correlates 0.70, 0.56, 0.46 at lags of 1, 2, 3 distinct frames, as measured on a real
clip. Few bubbles are separate dots, as their number is Poisson-distributed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from sim.phantom.random_fields import F32, gaussian_rows

FWHM_SHARE = 0.014  # of the pane's width: width at half height of the displayed pattern's autocorrelation
SMALLEST_FWHM_PX = 1.6
# The displayed (log) pattern of a field blurred with sigma has an autocorrelation of this width at half height.
FWHM_PER_SIGMA = 1.82


@dataclass(frozen=True)
class Flow:
    """The change of the field per frame: static share of the power, and correlation of the rest."""

    static: float = 0.50
    correlation: float = 0.80


MEASURED_FLOW = Flow()


def psf_sigma(width_px: int) -> float:
    """Standard deviation in px of the point spread on a pane of this width."""
    return max(FWHM_SHARE * width_px, SMALLEST_FWHM_PX) / FWHM_PER_SIGMA


def draw_complex_field(shape: tuple[int, int], rng: np.random.Generator) -> F32:
    """Draw white complex Gaussian noise of unit power as (2 h w): real and imaginary part."""
    return rng.standard_normal((2, *shape), dtype=np.float32) * np.float32(np.sqrt(0.5))


def draw_flowing_fields(shape: tuple[int, int], flow: Flow, rng: np.random.Generator) -> Iterator[F32]:
    """Draw the white fields (2 h w) of the contrast pattern, frame after frame, without end."""
    still = draw_complex_field(shape, rng) * np.float32(np.sqrt(flow.static))
    moving = draw_complex_field(shape, rng)
    keep, fresh = np.float32(flow.correlation), np.float32(np.sqrt(0.5 * (1 - flow.correlation**2)))
    share = np.float32(np.sqrt(1 - flow.static))
    noise = np.empty_like(moving)
    while True:
        yield still + share * moving
        rng.standard_normal(out=noise, dtype=np.float32)
        noise *= fresh
        moving *= keep
        moving += noise


def draw_bubble_places(shape: tuple[int, int], rng: np.random.Generator, most: int = 6) -> F32:
    """Draw the concentrations (most h w), ascending, at which a pixel gets its 1st, 2nd, ... bubble."""
    return np.cumsum(rng.standard_exponential((most, *shape), dtype=np.float32), axis=0)


def compute_bubble_power(power: F32, places: F32, per_pixel: float) -> F32:
    """Power (h w) of a Poisson number of bubbles whose mean is `per_pixel * power`, in units of `power`.

    Its mean equals `power`; for many bubbles it is `power` itself.
    """
    mean = power * np.float32(per_pixel)
    crowded = np.clip(mean - 1, 0, 2) * np.float32(0.5)
    number = (mean > places).sum(axis=0, dtype=np.float32)
    mixed: F32 = (number + crowded * (mean - number)) / np.float32(per_pixel)
    return mixed


@dataclass(frozen=True)
class PointSpread:
    """Blur and sub-pixel shift from a padded tissue grid to the pane."""

    pane: tuple[int, int]
    padding: int
    sigma: float

    def weights(self, shift_px: tuple[float, float]) -> tuple[F32, F32]:
        """Blur matrices of rows (h h+2p) and columns (w+2p w) for tissue shifted by (x, y) px."""
        height, width = self.pane
        y = np.arange(height, dtype=np.float32) + np.float32(self.padding - shift_px[1])
        x = np.arange(width, dtype=np.float32) + np.float32(self.padding - shift_px[0])
        rows = gaussian_rows(y, height + 2 * self.padding, self.sigma)
        columns = gaussian_rows(x, width + 2 * self.padding, self.sigma)
        return rows, np.ascontiguousarray(columns.T)


def intensity(field: F32, weights: tuple[F32, F32]) -> F32:
    """Intensity (h w) of a field (2 h+2p w+2p) through `PointSpread.weights`."""
    blurred = (weights[0] @ field) @ weights[1]
    seen: F32 = np.square(blurred[0])
    seen += np.square(blurred[1])
    return seen
