"""Multi-reader multi-case analysis (MRMC): accuracies where readers and lesions both are samples of more.

Obuchowski & Rockette 1995 (Commun Stat Simul Comput 24:285) with the degrees of freedom of Hillis 2007 (Stat Med
26:596), on the readers' differences; of one model against readers as in Chakraborty 2017 ("Observer Performance
Methods", on standalone software). Where all read all lesions it is the analysis of variance of Dorfman, Berbaum & Metz
1992 of right and wrong. Covariances come from how often two are right on the same lesion.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, product
from typing import Any

import numpy as np

from ceus_models.protocol.state import State
from ceus_models.study.reader_study import READ_PAIRS, READERS
from server.results.metrics import Floats, Ints
from server.results.uncertainty.distributions import t_p, t_quantile
from server.results.uncertainty.equivalence import MARGIN

MODES = ("alone", "assisted")
GROUPS: Mapping[str, tuple[str, ...]] = {
    "junior": ("junior",),
    "senior": ("senior",),
    "ceus": ("junior", "senior"),
    "mri": ("mri",),
}
"""Group of readers → its roles."""
_PLACES = {pair: place for place, pair in enumerate(READ_PAIRS)}
_SMALLEST_VARIANCE = 1e-15
_MOST_DEGREES = 1e4


@dataclass(frozen=True)
class Differences:
    """Differences of accuracy of J readers, each on its own lesions.

    Args:
        values: (J) differences.
        variances: (J) of each, by the lesions.
        covariance: of two of them, by the lesions, on average over pairs.
        lesions: of the reader who read most.
    """

    values: Floats
    variances: Floats
    covariance: float
    lesions: int


def analyse_readers(total: State, prefix: str, classifiers: Sequence[str], design: float) -> dict[str, dict[str, Any]]:
    """Of each group of at least two readers all of whose joint counts are known.

    A comparison in which any reader's counts are held back is not made: who is left would be chosen by his answers.

    Args:
        total: of an evaluation.
        prefix: of the readers' counts, `C|readers|`.
        classifiers: in the order of the counts.
        design: effect of patients with several lesions.

    Returns:
        Group → `assistance` (with the model minus alone), `against`: net → mode → model minus readers; each as in
        `compare_differences`.
    """
    confusion, pairs, model = (total[prefix + name].numpy() for name in ("confusion", "pairs", "model"))
    reads = confusion.sum((2, 3))  # (entries 2)
    found: dict[str, dict[str, Any]] = {}
    for group, roles in GROUPS.items():
        places = [place for place, role in enumerate(READERS.values()) if role in roles]
        read = [[place for place in places if reads[place, a]] for a in (0, 1)]
        entry: dict[str, Any] = {}
        if assistance := _assist(pairs, [place for place in read[0] if place in read[1]]):
            entry["assistance"] = compare_differences(assistance, design)
        for (m, net), (a, mode) in product(enumerate(classifiers), enumerate(MODES)):
            if beside := _oppose(pairs, model[m, :, a], read[a], a):
                entry.setdefault("against", {}).setdefault(net, {})[mode] = compare_differences(beside, design)
        found |= {group: entry} if entry else {}
    return found


def compare_differences(found: Differences, design: float) -> dict[str, Any]:
    """The mean difference over readers and lesions.

    Returns:
        `value`, `low`, `high`, `p`, `degrees`: readers and lesions are samples. `fixed`: {low, high, p}, of these very
        readers on other lesions. `readers`, `n`, `margin`, `non_inferior`: the interval lies above -margin. Without
        any variance there are no ends and no p.
    """
    readers, value = len(found.values), float(found.values.mean())
    between = float(found.values.var(ddof=1))
    shared = design * max(0.0, readers * found.covariance)
    degrees = (between + shared) ** 2 / (between**2 / (readers - 1)) if between > 0 else math.inf
    random = _interval(value, (between + shared) / readers, min(degrees, _MOST_DEGREES))
    own = design * (float(found.variances.mean()) + (readers - 1) * found.covariance) / readers
    return {
        "value": value,
        **random,
        "n": found.lesions,
        "readers": readers,
        "degrees": degrees if math.isfinite(degrees) else None,
        "fixed": _interval(value, own, found.lesions - 1),
        "margin": MARGIN,
        "non_inferior": None if random["low"] is None else random["low"] > -MARGIN,
    }


def _interval(value: float, variance: float, degrees: float) -> dict[str, float | None]:
    if not variance > _SMALLEST_VARIANCE or degrees <= 0:
        return {"low": None, "high": None, "p": None}
    error = math.sqrt(variance)
    half = t_quantile(degrees) * error
    return {"low": max(-1.0, value - half), "high": min(1.0, value + half), "p": t_p(value / error, degrees)}


def _assist(pairs: Ints, read: Sequence[int]) -> Differences | None:
    """With the model minus alone, of readers who read both ways; None of fewer than two, or without a joint count."""
    own = [pairs[_PLACES[(place, 0), (place, 1)]] for place in read]  # (2 2) [alone, assisted]
    if not all(table.sum() for table in own):
        return None
    covariances = []
    for j, k in combinations(read, 2):
        joint = {(a, b): pairs[_PLACES[(j, a), (k, b)]] for a in (0, 1) for b in (0, 1)}
        if not all(table.sum() for table in joint.values()):
            return None
        covariances.append(sum((1 if a == b else -1) * _covariance(table) for (a, b), table in joint.items()))
    return _collect([table.T for table in own], covariances)


def _oppose(pairs: Ints, model: Ints, read: Sequence[int], mode: int) -> Differences | None:
    """Model minus reader. model: (readers 2 2) [model, reader] wrong or right."""
    if not all(model[place].sum() for place in read):
        return None
    covariances = []
    for j, k in combinations(read, 2):
        joint = pairs[_PLACES[(j, mode), (k, mode)]]
        if not joint.sum():
            return None
        itself = np.mean([_variance(model[place]) for place in (j, k)])
        shared = sum(_covariance(model[place]) for place in (j, k))
        covariances.append(float(itself) - shared + _covariance(joint))
    return _collect([model[place] for place in read], covariances)


def _collect(tables: Sequence[Ints], covariances: Sequence[float]) -> Differences | None:
    """tables: of each reader (2 2) [minuend, subtrahend] wrong or right."""
    if len(tables) < 2:
        return None
    counts = [int(table.sum()) for table in tables]
    values = np.array([(table[1, 0] - table[0, 1]) / n for table, n in zip(tables, counts, strict=True)])
    variances = [_variance(t) + _variance(t.T) - 2 * _covariance(t) for t in tables]
    return Differences(values, np.array(variances), float(np.mean(covariances)), max(counts))


def _covariance(table: Ints) -> float:
    """Of two accuracies on the same lesions, from (2 2) [one, other] wrong or right."""
    n = float(table.sum())
    if n < 2:
        return 0.0
    return float(table[1, 1] / n - table[1].sum() / n * table[:, 1].sum() / n) / (n - 1)


def _variance(table: Ints) -> float:
    """Of the accuracy of the one."""
    n = float(table.sum())
    share = float(table[1].sum()) / n
    return share * (1 - share) / (n - 1) if n > 1 else 0.0
