"""McNemar's test (McNemar 1947): whether two classifiers have the same accuracy on the same lesions."""

from __future__ import annotations

import math
from typing import Any

from server.results.metrics import Counts

EXACT_BELOW = 25
"""With fewer discordant pairs the exact test is reported, else the corrected chi-square test: the usual rule."""


def mcnemar_test(pairs: Counts, noise_sd: float = 0.0) -> dict[str, Any]:
    """McNemar's test on pairs (2 2) [first wrong or right, second wrong or right].

    >>> import numpy as np
    >>> result = mcnemar_test(np.array([[10, 2], [8, 80]]))
    >>> result["test"], round(result["p"], 4)
    ('exact', 0.1094)

    Args:
        pairs: the counts.
        noise_sd: standard deviation of the noise in each of them; it widens the chi-square test, and the exact test,
            which is of whole lesions, is not made.

    Returns:
        The counts, the name of the reported `test` ("exact" or "chi-square"), its `p`, and the p of both tests.
    """
    (neither, second), (first, both) = ([max(0, round(float(n))) for n in row] for row in pairs)
    p_chi_square = chi_square_p(first, second, noise_sd)
    exact = not noise_sd and first + second < EXACT_BELOW
    p_exact = None if noise_sd else exact_p(first, second)
    return {
        "n": neither + second + first + both,
        "both": both,
        "first_only": first,
        "second_only": second,
        "neither": neither,
        "test": "exact" if exact else "chi-square",
        "p": p_exact if exact else p_chi_square,
        "p_exact": p_exact,
        "p_chi_square": p_chi_square,
    }


def exact_p(first: int, second: int) -> float:
    """p of the two-sided exact binomial test that discordant pairs fall on both sides with probability 1/2.

    >>> exact_p(8, 2)
    0.109375
    """
    n, fewer = first + second, min(first, second)
    # integers, because a thousand pairs would underflow as floats
    tail = sum(math.comb(n, k) for k in range(fewer + 1))
    return min(1.0, float(2 * tail / 2**n))


def chi_square_p(first: int, second: int, noise_sd: float = 0.0) -> float:
    """p of the chi-square test with continuity correction (Edwards 1948); 1 without discordant pairs.

    The difference of two counts with independent noise has 2 · noise_sd² more variance.

    >>> round(chi_square_p(30, 10), 6)
    0.002663
    """
    variance = first + second + 2 * noise_sd**2
    if variance == 0:
        return 1.0
    statistic = max(0, abs(first - second) - 1) ** 2 / variance
    return math.erfc(math.sqrt(statistic / 2))
