"""McNemar's test from paired counts: whether two classifiers, asked about the same lesions, are equally often right."""

from __future__ import annotations

import math
from typing import Any

from server.results.metrics import Ints

EXACT_BELOW = 25
"""Discordant pairs below which the exact test is reported, else the corrected chi-square test: the usual rule."""


def compared(pairs: Ints) -> dict[str, Any]:
    """Counts and p of (2 2) [first wrong or right, second wrong or right].

    `p` is that of `test`, "exact" or "chi-square"; both are given.
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
    """Two-sided binomial test that a discordant pair falls on either side with chance one half."""
    n, fewer = first + second, min(first, second)
    # whole numbers: a thousand pairs would underflow as floats
    tail = sum(math.comb(n, k) for k in range(fewer + 1))
    return min(1.0, float(2 * tail / 2**n))


def chi_square_p(first: int, second: int) -> float:
    """Edwards' continuity-corrected chi-square with one degree of freedom; 1 without discordant pairs."""
    if first + second == 0:
        return 1.0
    statistic = max(0, abs(first - second) - 1) ** 2 / (first + second)
    return math.erfc(math.sqrt(statistic / 2))
