"""The privacy of composed Gaussian releases, by Rényi differential privacy (Mironov 2017).

Every patient is in every round, so a release is one Gaussian mechanism of noise multiplier z (noise / sensitivity), and
releases compose by 1/z², whatever their order. At whole orders the discrete Gaussian has exactly the divergence of the
continuous one (Canonne et al. 2020), so only whole orders are used.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

ORDERS = (*range(2, 64), 72, 80, 96, 128, 192, 256, 512)
_HALVINGS = 60


def compose(multipliers: Iterable[float]) -> float:
    """The noise multiplier of one release that costs as much as all of these: (Σ 1/z²)^(-1/2), infinite for none.

    >>> round(compose([4.0] * 9 + [math.inf]), 6)
    1.333333
    """
    cost = math.fsum(multiplier**-2 for multiplier in multipliers)
    return cost**-0.5 if cost else math.inf


def compute_epsilon(multiplier: float, delta: float) -> float:
    """The ε at δ of one release of this noise multiplier; 0 for no release.

    The divergence at order α is α / 2z² (Mironov 2017, proposition 7); its ε is theorem 21 of Balle et al. 2020.
    """
    if math.isinf(multiplier):
        return 0.0
    spent: Iterator[float] = (
        order / (2 * multiplier**2) - (math.log(delta) + math.log(order)) / (order - 1) + math.log((order - 1) / order)
        for order in ORDERS
    )
    return max(0.0, min(spent))


def noise_for(epsilon: float, delta: float, rounds: int = 1, nets: int = 1) -> float:
    """The least noise multiplier of each net in each round that keeps all of them together within ε at δ.

    Raises ValueError for an ε that no noise reaches at this δ.
    """
    least = compute_epsilon(1e9, delta)
    if epsilon <= least:
        raise ValueError(f"expected epsilon above {least:.3g} at delta {delta:g}, found {epsilon:g}; allow more")
    low, high = 0.0, 1e9
    for _ in range(_HALVINGS):
        middle = math.sqrt(max(low, 1e-9) * high)
        low, high = (low, middle) if compute_epsilon(middle, delta) <= epsilon else (middle, high)
    return high * math.sqrt(rounds * nets)
