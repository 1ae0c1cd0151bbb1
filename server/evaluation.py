"""From the sums of an evaluation to metrics with 95 % intervals. No row of any lesion is needed.

A metric of the confusion matrix is exact. An AUC comes from fine histograms, with its resolution stated; its
bootstrap replicates come from coarse ones, and are shifted by the difference that the bins make to the estimate.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ceus_models.state import State
from ceus_models.taxonomy import DISEASE_TYPES, LESION_TYPES, STRATEGY_A, outputs_of
from server import metrics
from server.metrics import Floats, Ints

INTERVAL = (2.5, 97.5)
"""Percentiles, as in the study."""
MACROS = ("specificity", "recall", "precision", "npv", "f1")


@dataclass(frozen=True, eq=False)
class Counts:
    """What one net's evaluation on one cohort adds up to; row 0 is the estimate, the others are replicates.

    confusion (1+R k k) · scores (1+R s 2 coarse) · fine (s 2 fine), with s = k, or 1 for a binary net ·
    loss: mean over lesions, class-weighted; None without lesions.
    """

    confusion: Ints
    scores: Ints
    fine: Ints
    loss: float | None

    @property
    def lesions(self) -> int:
        """Lesions with a label for the net."""
        return int(self.confusion[0].sum())

    @property
    def support(self) -> Ints:
        """(k) lesions of each class."""
        return np.asarray(self.confusion[0].sum(1), dtype=np.int64)


def classes_of(net: str) -> tuple[str, ...]:
    """Names of a net's classes, in the order of its confusion matrix."""
    if net == STRATEGY_A:
        return DISEASE_TYPES
    return LESION_TYPES if outputs_of(net) > 1 else ("negative", "positive")


def counts_of(total: State, cohort: str, net: str) -> Counts | None:
    """The counts of a net on a cohort in the total of an evaluation; None where no site had a lesion."""
    prefix = f"{cohort}|{net}|"
    if f"{prefix}confusion" not in total:
        return None
    confusion, scores, fine = (_ints(total[prefix + name].numpy()) for name in ("confusion", "scores", "fine"))
    summed, weight = total[f"{prefix}loss"].tolist()
    return Counts(confusion, scores, fine, summed / weight if weight > 0 else None)


def multi_class(counts: Counts, classes: Sequence[str]) -> dict[str, Any]:
    """Metrics of a net with more than two classes, each as {value, low, high, n}; macro over supported classes."""
    rows = metrics.per_class(counts.confusion)
    fine, coarse = metrics.auc(counts.fine), metrics.auc(counts.scores)
    supported = counts.support > 0
    resolution = metrics.auc_resolution(counts.fine)
    result: dict[str, Any] = {
        "accuracy": interval(metrics.accuracy(counts.confusion), counts.lesions),
        "macro_auc": interval(metrics.macro(coarse), counts.lesions, float(metrics.macro(fine))),
    }
    result |= {f"macro_{name}": interval(metrics.macro(rows[name]), counts.lesions) for name in MACROS}
    result |= {
        "n": counts.lesions,
        "support": dict(zip(classes, counts.support.tolist(), strict=True)),
        "macro_over": [name for name, has in zip(classes, supported, strict=True) if has],
        "auc_resolution": number(float(metrics.macro(resolution))),
        "loss": counts.loss,
        "confusion": {"classes": list(classes), "counts": counts.confusion[0].tolist()},
        "classes": {
            name: _class_report(counts, rows, index, (fine, coarse)) for index, name in enumerate(classes)
        },
        "roc": _curves(counts.fine, classes),
    }
    return result


def binary(counts: Counts) -> dict[str, Any]:
    """Metrics of a binary net at 0.5, each as {value, low, high, n}."""
    rows = metrics.per_class(counts.confusion)
    fine = metrics.auc(counts.fine[0])
    result: dict[str, Any] = {
        "auc": interval(metrics.auc(counts.scores[:, 0]), counts.lesions, float(fine)),
        "accuracy": interval(metrics.accuracy(counts.confusion), counts.lesions),
        "sensitivity": interval(rows["recall"][:, 1], counts.lesions),
        "specificity": interval(rows["recall"][:, 0], counts.lesions),
    }
    return result | {
        "n": counts.lesions,
        "support": dict(zip(("negative", "positive"), counts.support.tolist(), strict=True)),
        "auc_resolution": number(float(metrics.auc_resolution(counts.fine[0]))),
        "loss": counts.loss,
        "confusion": {"classes": ["negative", "positive"], "counts": counts.confusion[0].tolist()},
        "roc": _points(*metrics.roc(counts.fine[0])),
    }


def interval(rows: Floats, n: int, value: float | None = None) -> dict[str, float | int | None]:
    """{value, low, high, n} of a metric. rows (1+R): the estimate, then its replicates.

    value: a better estimate than row 0, by whose difference the replicates are shifted. low and high are null
    without replicates; everything is null where the metric is not defined.
    """
    estimate = float(rows[0]) if value is None else value
    replicates = rows[1:][~np.isnan(rows[1:])]
    if np.isnan(estimate) or not len(replicates):
        return {"value": number(estimate), "low": None, "high": None, "n": n}
    shifted = np.clip(replicates + (estimate - float(rows[0])), 0.0, 1.0)
    low, high = np.percentile(shifted, INTERVAL)
    return {"value": estimate, "low": float(low), "high": float(high), "n": n}


def number(value: float) -> float | None:
    """The number, or None where it is not finite: JSON has no NaN."""
    return value if np.isfinite(value) else None


def _class_report(
    counts: Counts, rows: Mapping[str, Floats], index: int, areas: tuple[Floats, Floats]
) -> dict[str, Any]:
    """One class against the rest (the six-type radar of the study)."""
    fine, coarse = areas
    support = int(counts.support[index])
    report: dict[str, Any] = {name: interval(values[:, index], support) for name, values in rows.items()}
    return report | {"auc": interval(coarse[:, index], support, float(fine[index])), "support": support}


def _curves(fine: Ints, classes: Sequence[str]) -> dict[str, list[list[float]]]:
    curves = [metrics.roc(scores) for scores in fine]
    named = {name: _points(*curve) for name, curve in zip(classes, curves, strict=True)}
    return {**named, "macro": _points(*metrics.macro_roc(curves))}


def _points(false: Floats, true: Floats) -> list[list[float]]:
    return [[round(float(x), 6), round(float(y), 6)] for x, y in zip(false, true, strict=True)]


def _ints(values: npt.NDArray[Any]) -> Ints:
    return np.asarray(values, dtype=np.int64)
