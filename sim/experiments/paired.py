"""Metrics with bootstrap intervals, and their paired differences, from the sums of evaluations.

The arms of a simulation ask their sites for replicates (`Evaluate.paired_replicates`). A lesion's bootstrap weights
depend on (study seed, lesion) alone, so replicate r of two evaluations with one seed has the same weights: differences
of replicates are a paired bootstrap (Efron and Tibshirani 1993) without rows of lesions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ceus_models.protocol.state import State
from server.results import metrics
from server.results.intervals import INTERVAL, SMALLEST_WIDTH
from server.results.metrics import Counts, Floats, Ints
from server.results.uncertainty.equivalence import MARGIN
from server.results.uncertainty.proportions import subtract_paired, wilson_interval


@dataclass(frozen=True)
class Estimate:
    """An estimate with its 95 % interval, which is None without replicates, and where all of them are alike."""

    value: float
    low: float | None
    high: float | None

    @property
    def as_cells(self) -> list[float | None]:
        """The cells of a table."""
        return [None if x is None else round(x, 4) for x in (self.value, self.low, self.high)]


def find_confusion(totals: Mapping[str, State], net: str, cohort: str) -> Ints | None:
    """The confusion matrix of a net on a cohort and its paired replicates (1+R k k), from the last evaluation there;
    None without a lesion.
    """
    last = next((total for total in reversed(list(totals.values())) if f"{cohort}|{net}|confusion" in total), None)
    if last is None:
        return None
    confusion = last[f"{cohort}|{net}|confusion"].numpy()
    replicates = last.get(f"{cohort}|{net}|replicates")
    drawn = np.zeros((0, *confusion.shape)) if replicates is None else replicates.numpy()
    return np.concatenate([confusion[None], drawn]).astype(np.int64)


def compute_metric_rows(metric: str, confusion: Counts) -> Floats:
    """A metric (1+R), the estimate first: accuracy, or macro_<name> of `metrics.per_class`."""
    if metric == "accuracy":
        return metrics.accuracy(confusion)
    return metrics.macro(metrics.per_class(confusion)[metric.removeprefix("macro_")])


def compute_estimate(seeds: Sequence[Floats]) -> Estimate:
    """The estimate of several seeds, from the metric (1+R) of each: means of values and of 2.5 and 97.5 percentiles.

    The lesions are the same for every seed, so more seeds do not narrow the interval.

    >>> round(compute_estimate([np.array([0.8, 0.7, 0.8, 0.9])]).low, 3)
    0.705
    """
    ends = [np.percentile(known, INTERVAL) for rows in seeds if len(known := rows[1:][~np.isnan(rows[1:])])]
    value = float(np.mean([rows[0] for rows in seeds]))
    if len(ends) < len(seeds):
        return Estimate(value, None, None)
    low, high = np.mean(ends, axis=0).tolist()
    return Estimate(value, float(low), float(high)) if high - low > SMALLEST_WIDTH else Estimate(value, None, None)


def compute_share(seeds: Sequence[Floats], lesions: int) -> Estimate:
    """The mean accuracy of several seeds on the same lesions, with Wilson's interval."""
    value = float(np.mean([rows[0] for rows in seeds]))
    return Estimate(value, *wilson_interval(value * lesions, lesions)) if lesions else Estimate(value, None, None)


def compute_difference(seeds: Sequence[Floats], others: Sequence[Floats]) -> Estimate:
    """The estimate of the paired difference, seed by seed and replicate by replicate."""
    return compute_estimate([rows - other for rows, other in zip(seeds, others, strict=True)])


def compute_share_difference(seeds: Sequence[Floats], others: Sequence[Floats], lesions: int) -> Estimate:
    """`compute_difference` of accuracies, which has an interval too where no lesion tells the two apart.

    All replicates of a difference are alike where it is the same for every lesion: then Bonett and Price's.
    """
    found = compute_difference(seeds, others)
    if found.low is not None or not lesions:
        return found
    only = max(0.0, found.value) * lesions, max(0.0, -found.value) * lesions
    return Estimate(found.value, *subtract_paired(only, lesions))


def is_significant(value: Estimate) -> bool:
    """Whether the interval of a difference excludes 0."""
    return value.low is not None and value.high is not None and not value.low <= 0 <= value.high


def is_equivalent(value: Estimate) -> bool:
    """Whether the 95 % interval of a difference of accuracies lies within the margin of equivalence.

    Stricter than two one-sided tests at 5 %, which ask the 90 % interval. An interval that is unknown shows nothing.
    """
    return value.low is not None and value.high is not None and value.low > -MARGIN and value.high < MARGIN
