"""Smooth a bolus curve by a robust smoothing spline over the logarithm of the time since arrival.

A wash-in takes seconds, a wash-out minutes, and models of a bolus are functions of the logarithm of time (lognormal:
Strouthos 2010, IEEE TUFFC 57:1296). So one penalty on a logarithmic axis smooths more where the curve is slow and less
where it is fast, and no model has to be chosen: a liver has two supplies, and a haemangioma fills for minutes. Speckle
is multiplicative; the square root is fitted, which lies between intensity and logarithm. The spline is a penalised
cubic one (Reinsch 1967); outlying frames lose their weight (Tukey's bisquare, Beaton & Tukey 1974). scipy's
`make_smoothing_spline` gives the same values and takes twenty times as long, as it loops over the knots in Python.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.linalg import solveh_banded

from client.data.imaging.recording import F64

_AXIS_S = 5.0
"""The axis is even in time up to about this long after the arrival, and logarithmic later."""
_WINDOWS = 3.5
"""A cubic smoothing spline with penalty p on its squared bend averages like a window of about 3.5 p^(1/4)."""
_CUT = 4.685
"""Standard deviations at which a frame has lost all weight: 95 % efficient on normal noise."""
_LEAST = 1e-3
"""Weight left to such a frame, so that a gap never has none."""
_LEAST_SPREAD = 0.02
"""Of the root, as a share of its highest: without speckle, the sharpest part of a curve would be what sticks out."""
_ROUNDS = 4
_FEWEST = 5
"""Frames that the spline needs."""


def fit_course(values: F64, seconds: F64, arrival_s: float, smoothing_s: float) -> F64:
    """Smooth values (t) at rising seconds (t); returns the values themselves if they are too few.

    Every frame weighs by the time that it lasts. Costs O(t).

    Args:
        values: Linear intensity, not negative.
        smoothing_s: Width of the window during the wash-in, s.
    """
    return fit_courses(values, seconds, arrival_s, (smoothing_s,))[0]


def fit_courses(values: F64, seconds: F64, arrival_s: float, windows_s: Sequence[float]) -> list[F64]:
    """The smoothed curve for each width of the window; the first width decides which frames are outliers."""
    top = float(values.max(initial=0.0))
    if len(values) < _FEWEST or top <= 0:
        return [values for _ in windows_s]
    axis, root = _axis(seconds - arrival_s), np.sqrt(values.clip(0.0) / top)
    lasting = np.gradient(seconds)
    lasting = np.minimum(lasting, 2.0 * float(np.median(lasting)))
    stiffness = [(window_s / _WINDOWS) ** 4 for window_s in windows_s]
    seen, weights = seconds >= arrival_s, lasting
    for _ in range(_ROUNDS):
        off = root - fit_spline(axis, root, weights, stiffness[0])
        spread = max(1.4826 * float(np.median(np.abs(off[seen]))), _LEAST_SPREAD)
        weights = lasting * ((1.0 - (off / (_CUT * spread)) ** 2).clip(0.0) ** 2 + _LEAST)
    fits = [fit_spline(axis, root, weights, penalty) for penalty in stiffness]
    return [np.asarray(fit.clip(0.0) ** 2 * top, dtype=np.float64) for fit in fits]


def fit_spline(x: F64, y: F64, weights: F64, penalty: float) -> F64:
    """Values (n) at x of the function g that minimises Σ weight · (y - g)² + penalty · ∫ g''², for n ≥ 3 rising x.

    It is a natural cubic spline; its bends at the inner knots solve a system of five diagonals (Green & Silverman 1994,
    section 2.3.3).
    """
    steps, spread = np.diff(x), 1.0 / weights
    # column k of their matrix Q has these three numbers, in the rows k, k + 1 and k + 2
    first, last = 1.0 / steps[:-1], 1.0 / steps[1:]
    middle = -first - last
    system = np.zeros((3, len(x) - 2))  # the upper diagonals of R + penalty · Q'W⁻¹Q, the main one below
    system[2] = first**2 * spread[:-2] + middle**2 * spread[1:-1] + last**2 * spread[2:]
    system[1, 1:] = middle[:-1] * first[1:] * spread[1:-2] + last[:-1] * middle[1:] * spread[2:-1]
    system[0, 2:] = last[:-2] * first[2:] * spread[2:-2]
    system *= penalty
    system[2] += (steps[:-1] + steps[1:]) / 3
    system[1, 1:] += steps[1:-1] / 6
    bends = solveh_banded(system, np.diff(np.diff(y) / steps))
    pulled = np.zeros_like(y)
    for place, part in enumerate((first, middle, last)):
        pulled[place : place + len(bends)] += part * bends
    return np.asarray(y - penalty * spread * pulled)


def _axis(since: F64) -> F64:
    return np.where(since < 0, since, _AXIS_S * np.log1p(since.clip(0.0) / _AXIS_S))
