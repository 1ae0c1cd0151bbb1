"""Student's t and chi-square, of which the coordinator needs a quantile and two tails: no SciPy is installed there.

Both by the continued fraction or the finite sum of the textbooks (Press et al., "Numerical Recipes", 3rd ed., 6.4;
Abramowitz & Stegun 26.4.4 and 26.4.5).
"""

from __future__ import annotations

import math

_SMALLEST = 1e-300
_ENOUGH = 1e-15


def t_p(t: float, degrees: float) -> float:
    """The two-sided p of Student's t; degrees need not be whole.

    >>> round(t_p(2.571, 5), 3)
    0.05
    """
    return _beta_share(degrees / (degrees + t * t), degrees / 2, 0.5)


def t_quantile(degrees: float, level: float = 0.95) -> float:
    """The two-sided quantile of Student's t, by bisection.

    >>> round(t_quantile(5), 3)
    2.571
    """
    low, high = 0.0, 1e6
    for _ in range(64):
        middle = (low + high) / 2
        low, high = (middle, high) if t_p(middle, degrees) > 1 - level else (low, middle)
    return high


def chi_square_p(statistic: float, degrees: int) -> float:
    """The upper tail of chi-square.

    >>> round(chi_square_p(5.991, 2), 3)
    0.05
    """
    half = max(0.0, statistic) / 2
    total = math.erfc(math.sqrt(half)) if degrees % 2 else math.exp(-half)
    for k in range(1, (degrees - 1) // 2 + 1):
        power = k - 0.5 if degrees % 2 else float(k)
        total += math.exp(power * math.log(half) - half - math.lgamma(power + 1)) if half > 0 else 0.0
    return min(1.0, total)


def _beta_share(x: float, a: float, b: float) -> float:
    """The regularised incomplete beta function."""
    if x in (0.0, 1.0):
        return x
    if x > (a + 1) / (a + b + 2):
        return 1 - _beta_share(1 - x, b, a)
    scale = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    return math.exp(scale) * _beta_fraction(x, a, b) / a


def _beta_fraction(x: float, a: float, b: float) -> float:
    """Its continued fraction, by the method of Lentz."""
    upper, lower = 1.0, 1 / _avoid_zero(1 - (a + b) * x / (a + 1))
    value = lower
    for m in range(1, 10_000):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for step in (even, odd):
            lower, upper = 1 / _avoid_zero(1 + step * lower), _avoid_zero(1 + step / upper)
            value *= lower * upper
        if abs(lower * upper - 1) < _ENOUGH:
            break
    return value


def _avoid_zero(value: float) -> float:
    return value if abs(value) > _SMALLEST else _SMALLEST
