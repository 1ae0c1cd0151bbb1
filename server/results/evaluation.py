"""Metrics with 95 % intervals from the sums of an evaluation, without single rows.

Proportions have Wilson's interval, all else one of a bootstrap (Efron & Tibshirani 1993). Metrics of the confusion
matrix are exact. Those of the scores come from one histogram of 32 bins (`ceus_models.metrics.score_bins`), each with
its `resolution`: the largest error that the bins can make.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ceus_models.metrics.binned_loss import sum_log_loss
from ceus_models.protocol.state import State
from ceus_models.study.taxonomy import DISEASE_TYPES, LESION_TYPES, STRATEGY_A, STRATEGY_B, count_outputs
from server.results import metrics
from server.results.calibration import summarize_calibration
from server.results.intervals import bootstrap_interval, estimate_share, round_count
from server.results.metrics import Floats
from server.results.replicates import Resampling
from server.results.uncertainty.proportions import average

SPECIFICITIES = {"0.90": 0.90, "0.95": 0.95}
"""Specificities at which sensitivities are reported."""
MACROS = ("specificity", "recall", "precision", "npv", "f1")
_Metric = Callable[[Floats], Floats]


@dataclass(frozen=True, eq=False)
class Counts:
    """Summed counts of one net on one cohort; row 0 is the estimate, the others are bootstrap replicates.

    Args:
        confusion: (1+R k k) [true, predicted].
        scores: (1+R s 2 32) histograms, with s = k, or 1 for a binary net.
        loss: class-weighted mean log loss over lesions; None without lesions.
        sampling: of the lesions and of the replicates.
    """

    confusion: Floats
    scores: Floats
    loss: float | None
    sampling: Resampling = field(default_factory=Resampling)

    @property
    def lesions(self) -> int:
        """Lesions with a label for the net."""
        return round_count(self.confusion[0].sum())

    @property
    def support(self) -> list[int]:
        """Lesions of each class."""
        return [round_count(n) for n in self.confusion[0].sum(1)]


def class_names(net: str) -> tuple[str, ...]:
    """Names of a net's classes, in the order of its confusion matrix."""
    if net in (STRATEGY_A, STRATEGY_B):
        return DISEASE_TYPES
    return LESION_TYPES if count_outputs(net) > 1 else ("negative", "positive")


def read_counts(
    total: State, place: tuple[str, str], resampling: Resampling, class_weights: Mapping[str, Sequence[float]]
) -> Counts | None:
    """Read the counts of a net on a cohort from the total of an evaluation; None if no site had a lesion.

    Args:
        total: of the evaluation.
        place: the cohort and the net.
        resampling: of the replicates.
        class_weights: of the loss, by net; 1 where it has none.
    """
    cohort, net = place
    prefix = f"{cohort}|{net}|"
    if f"{prefix}confusion" not in total:
        return None
    confusion, scores = (resampling.read(total, prefix + name) for name in ("confusion", "scores"))
    weights = class_weights.get(STRATEGY_A if net == STRATEGY_B else net, (1.0,) * confusion.shape[1])
    summed, weight = sum_log_loss(scores[0], weights)
    return Counts(confusion, scores, summed / weight if weight > 0 else None, resampling)


def compute_multi_class(counts: Counts, classes: Sequence[str]) -> dict[str, Any]:
    """Compute the metrics of a net with more than two classes, each as {value, low, high, n}.

    Macro averages are over the classes that have lesions.
    """
    rows, support = metrics.per_class(counts.confusion), counts.support
    areas, bounds = metrics.auc(counts.scores), metrics.auc_resolution(counts.scores[0])
    bound = float(metrics.macro(bounds))
    result: dict[str, Any] = {
        "accuracy": estimate_accuracy(counts.confusion[0], counts.sampling),
        "macro_auc": bootstrap_interval(metrics.macro(areas), counts.lesions, resolution=bound),
    }
    result |= {f"macro_{name}": bootstrap_interval(metrics.macro(rows[name]), counts.lesions) for name in MACROS}
    shares = [_estimate_class(counts, place) for place in range(len(classes))]
    result["macro_recall"] |= _average_recalls([found["recall"] for found in shares])
    for name in rows:
        key = "one_vs_rest_accuracy" if name == "accuracy" else name
        result[key] = {c: found[name] for c, found in zip(classes, shares, strict=True)}
    for path, (value, resolution) in _list_score_metrics().items():
        found, bounds = value(counts.scores), resolution(counts.scores[0])
        _place(result, path)[path[-1]] = {
            c: bootstrap_interval(found[:, i], n, resolution=float(bounds[i]))
            for i, (c, n) in enumerate(zip(classes, support, strict=True))
        }
    return (
        result
        | summarize_calibration(counts.scores, counts.sampling, classes)
        | {
            "n": counts.lesions,
            "support": dict(zip(classes, support, strict=True)),
            "macro_over": [name for name, n in zip(classes, support, strict=True) if n],
            "loss": counts.loss,
            "confusion": _round(counts.confusion[0]),
            "roc": _curves(counts.scores[0], classes),
        }
    )


def compute_binary(counts: Counts) -> dict[str, Any]:
    """Compute the metrics of a binary net at the threshold 0.5, each as {value, low, high, n}."""
    negatives, positives = counts.support
    result: dict[str, Any] = {
        "accuracy": estimate_accuracy(counts.confusion[0], counts.sampling),
        "sensitivity": _estimate_class(counts, 1)["recall"],
        "specificity": _estimate_class(counts, 0)["recall"],
    }
    for path, (value, resolution) in _list_score_metrics().items():
        n = positives if path[0] == "sensitivity_at" else counts.lesions
        bound = float(resolution(counts.scores[0, 0]))
        _place(result, path)[path[-1]] = bootstrap_interval(value(counts.scores[:, 0]), n, resolution=bound)
    return (
        result
        | summarize_calibration(counts.scores, counts.sampling)
        | {
            "n": counts.lesions,
            "negatives": negatives,
            "positives": positives,
            "loss": counts.loss,
            "confusion": _round(counts.confusion[0]),
            "roc": _points(*metrics.roc(counts.scores[0, 0])),
        }
    )


def estimate_accuracy(confusion: Floats, sampling: Resampling) -> dict[str, Any]:
    """The accuracy of a confusion matrix (k k) with its interval."""
    k = len(confusion)
    return estimate_share(float(np.trace(confusion)), float(confusion.sum()), sampling, (k, k * k))


def _average_recalls(recalls: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """The ends of the mean recall: types have lesions of their own, so it is a mean of independent proportions."""
    known = [(one["value"], (one["low"], one["high"])) for one in recalls if one["value"] is not None]
    return dict(zip(("low", "high"), average(known), strict=True)) if known else {}


def _estimate_class(counts: Counts, place: int) -> dict[str, dict[str, Any]]:
    """One-vs-rest metrics of a class by name; without a value for a class that has no lesions.

    Without such a prediction, precision and negative predictive value are 0, as in scikit-learn, and have no interval.
    """
    confusion = counts.confusion[0]
    cells = metrics.count_cells(len(confusion))
    found = {}
    for name, (counted, of) in metrics.class_shares(confusion).items():
        one = estimate_share(float(counted[place]), float(of[place]), counts.sampling, cells[name])
        found[name] = one if of[place] > 0 else one | {"value": 0.0}
    overlap = found.pop("overlap")
    ends = {
        key: None if value is None else metrics.f1_of_overlap(value) for key, value in overlap.items() if key != "n"
    }
    found["f1"] = {**ends, "n": overlap["n"]}
    if confusion[place].sum() <= 0:
        return {name: {**dict.fromkeys(("value", "low", "high")), "n": one["n"]} for name, one in found.items()}
    return found


def _list_score_metrics() -> dict[tuple[str, ...], tuple[_Metric, _Metric]]:
    """Path in the results → (metric of a histogram, its resolution)."""

    def sensitivity(floor: float) -> tuple[_Metric, _Metric]:
        return (
            lambda scores: metrics.sensitivity_at(scores, floor),
            lambda scores: metrics.sensitivity_at_resolution(scores, floor),
        )

    return {
        ("auc",): (metrics.auc, metrics.auc_resolution),
        ("average_precision",): (metrics.average_precision, metrics.average_precision_resolution),
        **{("sensitivity_at", name): sensitivity(floor) for name, floor in SPECIFICITIES.items()},
    }


def _place(result: dict[str, Any], path: tuple[str, ...]) -> dict[str, Any]:
    """The dictionary that holds the last key of a path."""
    found: dict[str, Any] = result if len(path) == 1 else result.setdefault(path[0], {})
    return found


def _curves(scores: Floats, classes: Sequence[str]) -> dict[str, dict[str, list[float]]]:
    curves = [metrics.roc(one) for one in scores]
    named = {name: _points(*curve) for name, curve in zip(classes, curves, strict=True)}
    return {**named, "macro": _points(*metrics.macro_roc(curves))}


def _points(false: Floats, true: Floats) -> dict[str, list[float]]:
    return {"fpr": [round(float(x), 6) for x in false], "tpr": [round(float(y), 6) for y in true]}


def _round(confusion: Floats) -> list[list[int]]:
    return [[round_count(n) for n in row] for row in np.asarray(confusion)]
