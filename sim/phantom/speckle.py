"""Speckle: complex Gaussian fields with the power of the local number of bubbles, blurred by a point spread.

The contrast pattern refreshes because bubbles flow: a first-order autoregression plus a static part, tuned so
that the displayed pattern correlates 0.70, 0.56, 0.46 at lags of 1, 2, 3 distinct frames, as measured on a real
clip. Few bubbles are separate dots, as their number is Poisson-distributed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from sim.phantom.random_fields import F32, gaussian_rows

FWHM_SHARE = 0.010  # of the pane's width: along the beam, width at half height of the pattern's autocorrelation
ACROSS_SHARES = (0.012, 0.026)  # the same across the beam, at the near and the far end
SMALLEST_FWHM_PX = 1.6
BANDS = 6  # of depth; within a band the width across is constant
# The displayed (log) pattern of a field blurred with sigma has an autocorrelation of this width at half height.
FWHM_PER_SIGMA = 1.82


@dataclass(frozen=True)
class Flow:
    """The change of the field per frame: static share of the power, and correlation of the rest."""

    static: float = 0.50
    correlation: float = 0.80


MEASURED_FLOW = Flow()


def measure_spread(pane: tuple[int, int], padding: int) -> PointSpread:
    """The point spread of a pane (h, w)."""
    along, near, far = (_convert_to_sigma(share * pane[1]) for share in (FWHM_SHARE, *ACROSS_SHARES))
    return PointSpread(pane, padding, along, tuple(np.linspace(near, far, BANDS).tolist()))


def _convert_to_sigma(fwhm_px: float) -> float:
    return max(fwhm_px, SMALLEST_FWHM_PX) / FWHM_PER_SIGMA


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


Weights = tuple[F32, tuple[F32, ...]]
"""Blur matrices of the rows (h h+2p), and of the columns (w+2p w) in each band of depth."""


@dataclass(frozen=True)
class PointSpread:
    """Blur and sub-pixel shift from a padded tissue grid to the pane.

    Args:
        pane: (h, w).
        padding: px around it.
        along: standard deviation in px along the beam.
        across: the same across the beam, by band of depth.
    """

    pane: tuple[int, int]
    padding: int
    along: float
    across: tuple[float, ...]

    @property
    def cell_px(self) -> float:
        """Area in px of a resolution cell at middle depth."""
        return 4 * math.pi * self.along * float(np.mean(self.across))

    def weights(self, shift_px: tuple[float, float]) -> Weights:
        """Blur matrices for tissue shifted by (x, y) px."""
        height, width = self.pane
        y = np.arange(height, dtype=np.float32) + np.float32(self.padding - shift_px[1])
        x = np.arange(width, dtype=np.float32) + np.float32(self.padding - shift_px[0])
        rows = gaussian_rows(y, height + 2 * self.padding, self.along)
        columns = [gaussian_rows(x, width + 2 * self.padding, sigma) for sigma in self.across]
        return rows, tuple(np.ascontiguousarray(matrix.T) for matrix in columns)


def intensity(field: F32, weights: Weights) -> F32:
    """Intensity (h w) of a field (2 h+2p w+2p) through `PointSpread.weights`."""
    rows, columns = weights
    ends = np.linspace(0, len(rows), len(columns) + 1).round().astype(int)
    blurred = rows @ field
    seen = np.empty((len(rows), columns[0].shape[1]), np.float32)
    for matrix, (first, last) in zip(columns, pairwise(ends), strict=True):
        part = np.square(blurred[:, first:last] @ matrix)
        seen[first:last] = part[0] + part[1]
    return seen
