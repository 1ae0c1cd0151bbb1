"""The normal and lognormal distribution as functions of a standard normal number z (a Gaussian copula).

Correlated z make draws correlated, for example with grade or size, and keep their distributions.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Normal:
    """Mean and standard deviation, clipped to [low, high]."""

    mean: float
    sd: float
    low: float = -math.inf
    high: float = math.inf

    def at(self, z: float) -> float:
        """The value at z standard deviations from the mean."""
        return min(max(self.mean + self.sd * z, self.low), self.high)


@dataclass(frozen=True)
class LogNormal:
    """Median and geometric standard deviation, clipped to [low, high]."""

    median: float
    spread: float
    low: float = 0.0
    high: float = math.inf

    def at(self, z: float) -> float:
        """The value at z geometric standard deviations from the median.

        >>> LogNormal(4.0, 2.0).at(1.0)
        8.0
        """
        return min(max(self.median * float(self.spread**z), self.low), self.high)


Prior = Normal | LogNormal


def draw_value(prior: Prior, rng: np.random.Generator) -> float:
    """Draw one value."""
    return prior.at(float(rng.standard_normal()))


def correlate(own: float, other: float, correlation: float) -> float:
    """A standard normal number with this correlation to `other`; `own` is its independent part."""
    return correlation * other + math.sqrt(1.0 - correlation**2) * own
