"""Intervals of proportions and of their differences and ratios, in closed form; none of them ever has zero width.

Counts need not be whole: a count over a design effect is the count of independent lesions that say as much.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist

Interval = tuple[float, float]
Counted = tuple[float, float]
"""Lesions that count, and those among which they are."""
LEVEL = 0.95


def normal_quantile(level: float) -> float:
    """The z of a two-sided interval.

    >>> round(normal_quantile(0.95), 3)
    1.96
    """
    return NormalDist().inv_cdf(0.5 + level / 2)


def wilson_interval(right: float, n: float, level: float = LEVEL) -> Interval:
    """Wilson's score interval of right / n (Wilson 1927, J Am Stat Assoc 22:209).

    >>> [round(end, 3) for end in wilson_interval(10, 10)]
    [0.722, 1.0]
    """
    z = normal_quantile(level)
    p = right / n
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return max(0.0, min(p, middle - half)), min(1.0, max(p, middle + half))  # p is inside, also after rounding


def subtract_independent(first: Counted, second: Counted, level: float = LEVEL) -> Interval:
    """Interval of a difference of proportions of different lesions (Newcombe 1998, Stat Med 17:873, method 10).

    Args:
        first, second: (right, n).
        level: of the interval.

    >>> [round(end, 3) for end in subtract_independent((9, 10), (3, 10))]
    [0.171, 0.809]
    """
    (a, n), (b, m) = first, second
    low_a, high_a = wilson_interval(a, n, level)
    low_b, high_b = wilson_interval(b, m, level)
    p, q = a / n, b / m
    return p - q - math.hypot(p - low_a, high_b - q), p - q + math.hypot(high_a - p, q - low_b)


def subtract_paired(only: tuple[float, float], n: float, level: float = LEVEL, extra_variance: float = 0.0) -> Interval:
    """Interval of a difference of proportions of the same lesions (Bonett & Price 2012, J Educ Behav Stat 37:479).

    Args:
        only: lesions that only the first, and that only the second, has right.
        n: all lesions.
        level: of the interval.
        extra_variance: of the difference, as by noise in the counts.

    >>> [round(end, 3) for end in subtract_paired((0, 0), 50)]
    [-0.053, 0.053]
    """
    first, second = ((max(0.0, one) + 1) / (n + 2) for one in only)
    half = normal_quantile(level) * math.sqrt((first + second - (first - second) ** 2) / (n + 2) + extra_variance)
    return max(-1.0, first - second - half), min(1.0, first - second + half)


def average(shares: Sequence[tuple[float, Interval]]) -> Interval:
    """Interval of the mean of independent estimates (Zou, Huang & Zhang 2009, Comput Stat Data Anal 53:1080).

    shares: each with its interval.
    """
    mean, k = sum(value for value, _ in shares) / len(shares), len(shares)
    low = math.hypot(*(value - ends[0] for value, ends in shares))
    high = math.hypot(*(ends[1] - value for value, ends in shares))
    return mean - low / k, mean + high / k


def divide(first: tuple[float, Interval], second: tuple[float, Interval]) -> Interval:
    """Interval of a ratio of two independent estimates above 0 (Donner & Zou 2012, Stat Methods Med Res 21:347).

    Args:
        first: the numerator and its interval.
        second: the denominator and its interval; its low end is above 0, or the ratio has no upper end.

    >>> [round(end, 3) for end in divide((0.1, (0.05, 0.19)), (0.8, (0.7, 0.87)))]
    [0.062, 0.241]
    """
    (p, (low_p, high_p)), (q, (low_q, high_q)) = first, second
    below, above = high_q * (2 * q - high_q), low_q * (2 * q - low_q)
    to_low = math.sqrt(max(0.0, (p * q) ** 2 - low_p * (2 * p - low_p) * below))
    to_high = math.sqrt(max(0.0, (p * q) ** 2 - high_p * (2 * p - high_p) * above))
    low = max(0.0, (p * q - to_low) / below) if below > 0 else 0.0
    return low, (p * q + to_high) / above if above > 0 else math.inf
