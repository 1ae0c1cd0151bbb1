"""The two families of distribution that the phantom draws from, as functions of one standard normal number.

A draw that is a function of z can be tied to another one (grade, size) by correlating the z, which leaves its
own distribution unchanged.
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
        """The value z standard deviations from the mean."""
        return min(max(self.mean + self.sd * z, self.low), self.high)


@dataclass(frozen=True)
class LogNormal:
    """Median and geometric standard deviation, clipped to [low, high]."""

    median: float
    spread: float
    low: float = 0.0
    high: float = math.inf

    def at(self, z: float) -> float:
        """The value z geometric standard deviations from the median."""
        return min(max(self.median * float(self.spread**z), self.low), self.high)


Prior = Normal | LogNormal


def draw(prior: Prior, rng: np.random.Generator) -> float:
    """One independent draw."""
    return prior.at(float(rng.standard_normal()))


def tied(own: float, other: float, correlation: float) -> float:
    """A standard normal number correlated with `other`; `own` is its independent part."""
    return correlation * other + math.sqrt(1.0 - correlation**2) * own
