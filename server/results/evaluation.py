"""Metrics with 95 % bootstrap intervals (Efron & Tibshirani 1993) from the sums of an evaluation, without single rows.

Metrics of the confusion matrix are exact. An AUC comes from fine histograms, with its resolution stated; its bootstrap
replicates come from coarse histograms and are shifted by the difference between the two estimates.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor

from ceus_models.metrics.score_bins import UNIT
from ceus_models.protocol.state import State
from ceus_models.study.taxonomy import DISEASE_TYPES, LESION_TYPES, STRATEGY_A, STRATEGY_B, outputs_of
from server.results import metrics
from server.results.calibration import calibrated
from server.results.intervals import interval, number
from server.results.metrics import Floats, Ints

FLOORS = {"0.90": 0.90, "0.95": 0.95}
"""Specificities at which sensitivities are reported."""
MACROS = ("specificity", "recall", "precision", "npv", "f1")


@dataclass(frozen=True, eq=False)
class Counts:
    """Summed counts of one net on one cohort; row 0 is the estimate, the others are bootstrap replicates.

    Args:
        confusion: (1+R k k) [true, predicted].
        scores: (1+R s 2 coarse) histograms, with s = k, or 1 for a binary net.
        fine: (s 2 fine) histograms.
        loss: class-weighted mean over lesions; None without lesions.
        calibration: (rows 10 3) [lesions, Σ p, Σ right], see client.worker.tasks.score_counts; None in older studies.
        brier: (1+R) sums; None in older studies.
    """

    confusion: Ints
    scores: Ints
    fine: Ints
    loss: float | None
    calibration: Floats | None = None
    brier: Floats | None = None

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
    if net in (STRATEGY_A, STRATEGY_B):
        return DISEASE_TYPES
    return LESION_TYPES if outputs_of(net) > 1 else ("negative", "positive")


def counts_of(total: State, cohort: str, net: str) -> Counts | None:
    """Read the counts of a net on a cohort from the total of an evaluation; None if no site had a lesion."""
    prefix = f"{cohort}|{net}|"
    if f"{prefix}confusion" not in total:
        return None
    confusion, scores, fine = (_ints(total[prefix + name].numpy()) for name in ("confusion", "scores", "fine"))
    summed, weight = total[f"{prefix}loss"].tolist()
    units = {"calibration": np.array([1.0, UNIT, 1.0]), "brier": np.array(UNIT)}
    extra = (_scaled(total.get(prefix + name), unit) for name, unit in units.items())
    return Counts(confusion, scores, fine, summed / weight if weight > 0 else None, *extra)


def multi_class(counts: Counts, classes: Sequence[str]) -> dict[str, Any]:
    """Compute the metrics of a net with more than two classes, each as {value, low, high, n}.

    Macro averages are over the classes that have lesions.
    """
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
    result |= _at_thresholds(counts, classes, support)
    return (
        result
        | calibrated(counts.calibration, counts.brier, counts.confusion.sum((1, 2)), classes)
        | {
            "n": counts.lesions,
            "support": dict(zip(classes, support, strict=True)),
            "macro_over": [name for name, n in zip(classes, support, strict=True) if n],
            "loss": counts.loss,
            "confusion": counts.confusion[0].tolist(),
            "roc": _curves(counts.fine, classes),
        }
    )


def binary(counts: Counts) -> dict[str, Any]:
    """Compute the metrics of a binary net at the threshold 0.5, each as {value, low, high, n}."""
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
    fine_ap, ap = metrics.average_precision(counts.fine[0]), metrics.average_precision(counts.scores[:, 0])
    result["average_precision"] = interval(ap, counts.lesions, float(fine_ap))
    result["sensitivity_at"] = {
        name: interval(
            metrics.sensitivity_at(counts.scores[:, 0], floor),
            positives,
            float(metrics.sensitivity_at(counts.fine[0], floor)),
        )
        for name, floor in FLOORS.items()
    }
    return (
        result
        | calibrated(counts.calibration, counts.brier, counts.confusion.sum((1, 2)))
        | {
            "n": counts.lesions,
            "negatives": negatives,
            "positives": positives,
            "loss": counts.loss,
            "confusion": counts.confusion[0].tolist(),
            "roc": _points(*metrics.roc(counts.fine[0])),
        }
    )


def _at_thresholds(counts: Counts, classes: Sequence[str], support: Sequence[int]) -> dict[str, Any]:
    """Average precision and sensitivity at fixed specificities of each class against the rest."""
    fine, coarse = metrics.average_precision(counts.fine), metrics.average_precision(counts.scores)
    found: dict[str, Any] = {
        "average_precision": {
            c: interval(coarse[:, i], n, float(fine[i])) for i, (c, n) in enumerate(zip(classes, support, strict=True))
        },
        "sensitivity_at": {},
    }
    for name, floor in FLOORS.items():
        fine, coarse = metrics.sensitivity_at(counts.fine, floor), metrics.sensitivity_at(counts.scores, floor)
        found["sensitivity_at"][name] = {
            c: interval(coarse[:, i], n, float(fine[i])) for i, (c, n) in enumerate(zip(classes, support, strict=True))
        }
    return found


def _curves(fine: Ints, classes: Sequence[str]) -> dict[str, dict[str, list[float]]]:
    curves = [metrics.roc(scores) for scores in fine]
    named = {name: _points(*curve) for name, curve in zip(classes, curves, strict=True)}
    return {**named, "macro": _points(*metrics.macro_roc(curves))}


def _points(false: Floats, true: Floats) -> dict[str, list[float]]:
    return {"fpr": [round(float(x), 6) for x in false], "tpr": [round(float(y), 6) for y in true]}


def _scaled(sums: Tensor | None, unit: Floats) -> Floats | None:
    """Convert sums in integer multiples of a unit; an earlier version stored floats."""
    if sums is None:
        return None
    return np.asarray(sums.numpy() * (1.0 if sums.is_floating_point() else unit), dtype=np.float64)


def _ints(values: npt.NDArray[Any]) -> Ints:
    return np.asarray(values, dtype=np.int64)
