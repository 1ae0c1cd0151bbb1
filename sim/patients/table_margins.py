"""Meeting the counts of a table without breaking the distributions that the values come from.

Every draw comes first from its own type-conditional prior. A margin is then met by moving the *cut*, never single
cases at random: those who would be the first to change under a common shift of the prior are the ones who change.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from sim.patients.study_table import Bands

Key = TypeVar("Key", bound=Hashable)
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


def apportion(total: int, weights: Mapping[Key, float]) -> dict[Key, int]:
    """`total` shared in proportion to the weights by largest remainder; exact in its sum, ties to the first key.

    Raises ValueError where something is to be shared and no weight is above zero.
    """
    weight = sum(weights.values())
    if total == 0:
        return dict.fromkeys(weights, 0)
    if weight <= 0:
        raise ValueError(f"{total} cannot be shared among weights that sum to {weight}")
    exact = {key: total * value / weight for key, value in weights.items()}
    shares = {key: math.floor(value + 1e-9) for key, value in exact.items()}
    by_remainder = sorted(exact, key=lambda key: shares[key] - exact[key])
    for key in by_remainder[: total - sum(shares.values())]:
        shares[key] += 1
    return shares


def fill_bands(scores: Floats, lesions: Ints, quotas: Sequence[int]) -> Ints:
    """Band of each patient: in ascending score, each band takes patients until its quota of *lesions* is full.

    scores (n), lesions (n) per patient, quotas in lesions; the last band takes the rest. A patient with more
    lesions than a band has room for goes to the next band, so quotas are met exactly while single-lesion
    patients last. Returns the band's index (n).
    """
    bands = np.full(len(scores), len(quotas) - 1, dtype=np.int64)
    waiting = np.argsort(scores, kind="stable").tolist()
    for band, quota in enumerate(quotas[:-1]):
        room, skipped = quota, []
        for position, patient in enumerate(waiting):
            if room == 0:
                skipped += waiting[position:]
                break
            if lesions[patient] > room:
                skipped.append(patient)
                continue
            bands[patient] = band
            room -= int(lesions[patient])
        waiting = skipped
    return bands


def chosen(uniforms: Floats, chances: Floats, lesions: Ints, quota: int) -> npt.NDArray[np.bool_]:
    """Who says yes, so that the yeses hold `quota` lesions: a common shift of every chance on the logit scale.

    uniforms (n) in (0, 1): a patient alone would say yes where it lies below the chance. Shifting all logits by
    the one amount that meets the quota keeps the odds ratios between patients, hence between lesion types.
    """
    scores = _logit(uniforms) - _logit(chances)
    said_yes: npt.NDArray[np.bool_] = fill_bands(scores, lesions, (quota, int(lesions.sum()) - quota)) == 0
    return said_yes


def in_bands(raw: Floats, lesions: Ints, quotas: Sequence[int], bands: Bands) -> Ints:
    """Values on the integer scale of `bands`, in the order of `raw`, with `quotas` lesions in each band.

    raw (n): draws in steps of the scale (years, tenths of a centimetre). The raw quantiles at the quotas are
    mapped to the band edges: a shift outside the outermost edges, linear between (on the logarithm for `log`).
    """
    if not len(raw):
        return np.zeros(0, dtype=np.int64)
    scale = np.log if bands.log else np.asarray
    x: Floats = scale(np.maximum(raw, 1.0))
    edges: Floats = scale(np.asarray(bands.edges, dtype=np.float64))
    cuts = _cuts(x, lesions, quotas, edges)
    warped = np.interp(x, cuts, edges)
    warped = np.where(x < cuts[0], x - cuts[0] + edges[0], warped)
    warped = np.where(x > cuts[-1], x - cuts[-1] + edges[-1], warped)
    values = np.floor(np.exp(warped) if bands.log else warped).astype(np.int64)
    band = fill_bands(x, lesions, quotas)
    low = np.asarray((bands.low, *bands.edges))[band]
    high = np.asarray((*bands.edges, bands.high + 1))[band] - 1
    return np.clip(values, low, high)


def _cuts(x: Floats, lesions: Ints, quotas: Sequence[int], edges: Floats) -> Floats:
    order = np.argsort(x, kind="stable")
    reached = np.cumsum(lesions[order])
    sorted_x = x[order]
    cuts = []
    for wanted, edge in zip(np.cumsum(quotas)[:-1], edges, strict=True):
        if wanted <= 0:
            cuts.append(min(float(sorted_x[0]), float(edge)))
        elif wanted >= reached[-1]:
            cuts.append(max(float(sorted_x[-1]), float(edge)))
        else:
            last = int(np.searchsorted(reached, wanted))
            cuts.append(float(sorted_x[last : last + 2].mean()))
    return np.maximum.accumulate(np.asarray(cuts) + 1e-9 * np.arange(len(cuts)))


def _logit(p: Floats) -> Floats:
    p = np.clip(p, 1e-9, 1 - 1e-9)
    return np.log(p) - np.log1p(-p)
