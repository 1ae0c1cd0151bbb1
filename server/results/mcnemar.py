"""McNemar's test (McNemar 1947): whether two classifiers have the same accuracy on the same lesions."""

from __future__ import annotations

import math
from typing import Any

from server.results.metrics import Ints

EXACT_BELOW = 25
"""With fewer discordant pairs the exact test is reported, else the corrected chi-square test: the usual rule."""


def mcnemar_test(pairs: Ints) -> dict[str, Any]:
    """McNemar's test on pairs (2 2) [first wrong or right, second wrong or right].

    >>> import numpy as np
    >>> result = mcnemar_test(np.array([[10, 2], [8, 80]]))
    >>> result["test"], round(result["p"], 4)
    ('exact', 0.1094)

    Returns:
        The counts, the name of the reported `test` ("exact" or "chi-square"), its `p`, and the p of both tests.
    """
    (neither, second), (first, both) = pairs.tolist()
    exact = first + second < EXACT_BELOW
    p_exact, p_chi_square = exact_p(first, second), chi_square_p(first, second)
    return {
        "n": int(pairs.sum()),
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


def chi_square_p(first: int, second: int) -> float:
    """p of the chi-square test with continuity correction (Edwards 1948); 1 without discordant pairs.

    >>> round(chi_square_p(30, 10), 6)
    0.002663
    """
    if first + second == 0:
        return 1.0
    statistic = max(0, abs(first - second) - 1) ** 2 / (first + second)
    return math.erfc(math.sqrt(statistic / 2))
