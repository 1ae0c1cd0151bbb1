"""p values of several tests, corrected for their number."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def adjust_holm(p: Sequence[float]) -> list[float]:
    """p values by Holm's step-down procedure (Holm 1979, Scand J Stat 6:65), in their order.

    >>> adjust_holm([0.04, 0.01])
    [0.04, 0.02]
    """
    adjusted = [0.0] * len(p)
    least = 0.0
    for rank, place in enumerate(sorted(range(len(p)), key=lambda k: p[k])):
        least = max(least, min(1.0, (len(p) - rank) * p[place]))
        adjusted[place] = least
    return adjusted


def adjust_tests(tests: Sequence[dict[str, Any]]) -> None:
    """Add to each test of a family, which has its `p`, the corrected `p_holm` and the number of `tests`."""
    for test, p in zip(tests, adjust_holm([float(test["p"]) for test in tests]), strict=True):
        test |= {"p_holm": p, "tests": len(tests)}
