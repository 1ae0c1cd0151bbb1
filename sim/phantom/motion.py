"""Motion of the liver under a hand-held probe: breathing, drift, a cough, and leaving the plane.

Breathing is z0 - b cos^2n(pi t / period): long near end-expiration, short in deep inspiration, with amplitude
and period varying from breath to breath (free-breathing amplitudes of 14 SBRT patients, PMC5978939).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from sim.phantom.distributions import LogNormal, Normal, draw_value

F64 = npt.NDArray[np.float64]

INTERVAL_VARIATION = 0.18  # of the amplitude from breath to breath; 4.3 of 11.9 mm between sessions
RECALL_S = 30.0  # the operator brings a drifting probe back over about this time


@dataclass(frozen=True)
class Breathing:
    """Motion parameters of patient and probe; lengths in mm, times in s, angles in rad."""

    amplitude_mm: float
    period_s: float
    power: int
    plane_angle: float  # between the image plane and the direction of breathing
    direction: float  # of the in-plane part, 0 = to the right
    drift_mm: float  # standard deviation of the probe's drift per square-root second
    cough_s: float  # time of a cough, NaN where there is none
    cough_mm: float
    out_of_plane: float  # share of the time that the lesion is out of the plane


@dataclass(frozen=True)
class Trace:
    """Motion at the frames: shift of the tissue (t, 2) as (x, y) in mm, and share out of plane (t) in 0..1."""

    shift_mm: F64
    out: F64


def draw_breathing(amplitude_mm: float, out_of_plane: float, rng: np.random.Generator) -> Breathing:
    """Draw motion parameters: `amplitude_mm` is the median, `out_of_plane` the share of lesions that leave it."""
    amplitude = draw_value(LogNormal(amplitude_mm, 1.35, 0.43 * amplitude_mm, 1.45 * amplitude_mm), rng)
    leaves, coughs = rng.random() < out_of_plane, rng.random() < 0.12
    return Breathing(
        amplitude_mm=amplitude,
        period_s=draw_value(Normal(4.0, 0.5, 3.0, 5.0), rng),
        power=int(rng.integers(2, 4)),
        plane_angle=float(rng.uniform(0, 1.2)),
        direction=float(rng.uniform(-0.6, 0.6) + rng.choice([0.0, math.pi])),
        drift_mm=float(rng.uniform(0.1, 0.35)),
        cough_s=float(rng.uniform(10, 60)) if coughs else math.nan,
        cough_mm=float(rng.uniform(4, 9)),
        out_of_plane=float(rng.uniform(0.10, 0.30)) if leaves else 0.0,
    )


def draw_full_motion(usual: Breathing, rng: np.random.Generator) -> Breathing:
    """Draw the largest motion that occurs: breaths up to 25 mm, out of the plane in 10-30 % of the frames, a drift of
    0.3-1 mm per square-root second, and a cough.
    """
    return replace(
        usual,
        amplitude_mm=float(rng.uniform(8, 25)),
        drift_mm=float(rng.uniform(0.3, 1.0)),
        cough_s=float(rng.uniform(10, 60)),
        cough_mm=float(rng.uniform(4, 12)),
        out_of_plane=float(rng.uniform(0.10, 0.30)),
    )


def draw_breaths(seconds: F64, breathing: Breathing, rng: np.random.Generator) -> F64:
    """Displacement (t) in mm along the direction of breathing, 0 at end-expiration."""
    cycles = int(seconds.max() / breathing.period_s * 1.6) + 4
    periods = breathing.period_s * np.clip(1 + 0.1 * rng.standard_normal(cycles), 0.6, 1.5)
    depth = breathing.amplitude_mm * np.clip(1 + INTERVAL_VARIATION * rng.standard_normal(cycles), 0.3, 1.8)
    starts = np.concatenate([[0.0], np.cumsum(periods)])[:-1] - breathing.period_s * rng.random()
    cycle = np.clip(np.searchsorted(starts, seconds, side="right") - 1, 0, cycles - 1)
    phase = (seconds - starts[cycle]) / periods[cycle]  # 0 and 1 at end-expiration, 0.5 in inspiration
    return np.asarray(depth[cycle] * np.sin(np.pi * phase) ** (2 * breathing.power))


def draw_drift(seconds: F64, per_root_second_mm: float, rng: np.random.Generator) -> F64:
    """A slow, mean-reverting random walk (t, 2) of the probe in mm."""
    steps = np.diff(seconds, prepend=seconds[0])
    keep = np.exp(-steps / RECALL_S)
    noise = rng.standard_normal((seconds.size, 2)) * per_root_second_mm * np.sqrt(steps)[:, None]
    walk = np.zeros((seconds.size, 2))
    for i in range(1, seconds.size):
        walk[i] = keep[i] * walk[i - 1] + noise[i]
    return walk


def draw_trace(seconds: F64, breathing: Breathing, rng: np.random.Generator) -> Trace:
    """Motion at `seconds` (t), ascending. The lesion leaves the plane in the deepest part of inspiration."""
    depth = draw_breaths(seconds, breathing, rng)
    in_plane = depth * math.cos(breathing.plane_angle)
    direction = np.array([math.cos(breathing.direction), math.sin(breathing.direction)])
    shift = in_plane[:, None] * direction + draw_drift(seconds, breathing.drift_mm, rng)
    if math.isfinite(breathing.cough_s):
        since = seconds - breathing.cough_s
        jump = np.where(since >= 0, np.exp(-np.clip(since, 0, None) / 1.2), 0) * breathing.cough_mm
        shift += jump[:, None] * np.array([0.3, 0.95])
    shift -= np.median(shift, axis=0)
    out = np.zeros(seconds.size)
    if breathing.out_of_plane > 0:
        edge = float(np.quantile(depth, 1 - breathing.out_of_plane))
        out = np.clip((depth - edge) / (0.12 * breathing.amplitude_mm) + 0.5, 0, 1)
    return Trace(shift_mm=shift, out=out)
