"""Meet the counts of a table and keep the distributions of the values.

Every value is first drawn from its type-conditional prior. A margin is then met by a common shift of the prior, never
by changing random cases: the cases that change first under such a shift are changed.
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
    """Apportion `total` by the weights with the largest-remainder (Hamilton) method; ties go to the first key.

    Raises:
        ValueError: `total` is not 0, and no weight is above 0.

    >>> apportion(10, {"a": 1, "b": 1, "c": 1})
    {'a': 4, 'b': 3, 'c': 3}
    """
    weight = sum(weights.values())
    if total == 0:
        return dict.fromkeys(weights, 0)
    if weight <= 0:
        raise ValueError(f"expected weights with a sum above 0 for {total}, found {weight}")
    exact = {key: total * value / weight for key, value in weights.items()}
    shares = {key: math.floor(value + 1e-9) for key, value in exact.items()}
    by_remainder = sorted(exact, key=lambda key: shares[key] - exact[key])
    for key in by_remainder[: total - sum(shares.values())]:
        shares[key] += 1
    return shares


def fill_bands(scores: Floats, lesions: Ints, quotas: Sequence[int]) -> Ints:
    """Fill bands with patients in ascending order of their scores, until each has its quota of lesions.

    A patient with more lesions than a band has left is put into the next band, so quotas are met exactly as long as
    there are patients with one lesion.

    Args:
        scores: (n) of the patients.
        lesions: (n) of the patients.
        quotas: lesions of each band; the last band takes the rest.

    Returns:
        The index (n) of each patient's band.
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


def choose_by_quota(uniforms: Floats, chances: Floats, lesions: Ints, quota: int) -> npt.NDArray[np.bool_]:
    """Choose the patients with a trait, so that they have `quota` lesions.

    All probabilities are shifted by one amount on the logit scale, which keeps the odds ratios between lesion types.

    Args:
        uniforms: (n) in (0, 1); without the quota a patient has the trait if it is below the probability.
        chances: (n) probabilities of the trait.
        lesions: (n) of the patients.
        quota: lesions with the trait.
    """
    scores = _logit(uniforms) - _logit(chances)
    has_trait: npt.NDArray[np.bool_] = fill_bands(scores, lesions, (quota, int(lesions.sum()) - quota)) == 0
    return has_trait


def fit_to_bands(raw: Floats, lesions: Ints, quotas: Sequence[int], bands: Bands) -> Ints:
    """Values on the integer scale of `bands`, in the order of `raw`, with `quotas` lesions in each band.

    The quantiles of `raw` at the quotas are mapped to the band edges: linear between them (on the logarithm for `log`),
    a shift outside.

    Args:
        raw: (n) draws in steps of the scale (years, mm).
        lesions: (n) of the patients.
        quotas: lesions of each band.
        bands: of the scale.
    """
    if not len(raw):
        return np.zeros(0, dtype=np.int64)
    scale = np.log if bands.log else np.asarray
    x: Floats = scale(np.maximum(raw, 1.0))
    edges: Floats = scale(np.asarray(bands.edges, dtype=np.float64))
    cuts = _compute_cuts(x, lesions, quotas, edges)
    warped = np.interp(x, cuts, edges)
    warped = np.where(x < cuts[0], x - cuts[0] + edges[0], warped)
    warped = np.where(x > cuts[-1], x - cuts[-1] + edges[-1], warped)
    values = np.floor(np.exp(warped) if bands.log else warped).astype(np.int64)
    band = fill_bands(x, lesions, quotas)
    low = np.asarray((bands.low, *bands.edges))[band]
    high = np.asarray((*bands.edges, bands.high + 1))[band] - 1
    return np.clip(values, low, high)


def _compute_cuts(x: Floats, lesions: Ints, quotas: Sequence[int], edges: Floats) -> Floats:
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
