"""From the sums of an evaluation to metrics with 95 % intervals. No row of any lesion is needed.

A metric of the confusion matrix is exact. An AUC comes from fine histograms, with its resolution stated; its
bootstrap replicates come from coarse ones, and are shifted by the difference that the bins make to the estimate.
"""

from __future__ import annotations

from collections.abc import Sequence
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
    support = counts.support.tolist()
    resolution = metrics.auc_resolution(counts.fine)
    bound = number(float(metrics.macro(resolution)))
    result: dict[str, Any] = {
        "accuracy": interval(metrics.accuracy(counts.confusion), counts.lesions),
        "macro_auc": interval(metrics.macro(coarse), counts.lesions, float(metrics.macro(fine)))
        | {"resolution": bound},
    }
    result |= {f"macro_{name}": interval(metrics.macro(rows[name]), counts.lesions) for name in MACROS}
    for name, values in rows.items():
        key, over = ("one_vs_rest_accuracy", [counts.lesions] * len(support)) if name == "accuracy" else (name, support)
        result[key] = {c: interval(values[:, i], n) for i, (c, n) in enumerate(zip(classes, over, strict=True))}
    result["auc"] = {
        c: interval(coarse[:, i], n, float(fine[i])) | {"resolution": number(float(resolution[i]))}
        for i, (c, n) in enumerate(zip(classes, support, strict=True))
    }
    return result | {
        "n": counts.lesions,
        "support": dict(zip(classes, support, strict=True)),
        "macro_over": [name for name, n in zip(classes, support, strict=True) if n],
        "loss": counts.loss,
        "confusion": counts.confusion[0].tolist(),
        "roc": _curves(counts.fine, classes),
    }


def binary(counts: Counts) -> dict[str, Any]:
    """Metrics of a binary net at 0.5, each as {value, low, high, n}."""
    rows = metrics.per_class(counts.confusion)
    fine = metrics.auc(counts.fine[0])
    bound = number(float(metrics.auc_resolution(counts.fine[0])))
    negatives, positives = counts.support.tolist()
    result: dict[str, Any] = {
        "auc": interval(metrics.auc(counts.scores[:, 0]), counts.lesions, float(fine)) | {"resolution": bound},
        "accuracy": interval(metrics.accuracy(counts.confusion), counts.lesions),
        "sensitivity": interval(rows["recall"][:, 1], counts.lesions),
        "specificity": interval(rows["recall"][:, 0], counts.lesions),
    }
    return result | {
        "n": counts.lesions,
        "negatives": negatives,
        "positives": positives,
        "loss": counts.loss,
        "confusion": counts.confusion[0].tolist(),
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


def _curves(fine: Ints, classes: Sequence[str]) -> dict[str, dict[str, list[float]]]:
    curves = [metrics.roc(scores) for scores in fine]
    named = {name: _points(*curve) for name, curve in zip(classes, curves, strict=True)}
    return {**named, "macro": _points(*metrics.macro_roc(curves))}


def _points(false: Floats, true: Floats) -> dict[str, list[float]]:
    return {"fpr": [round(float(x), 6) for x in false], "tpr": [round(float(y), 6) for y in true]}


def _ints(values: npt.NDArray[Any]) -> Ints:
    return np.asarray(values, dtype=np.int64)
