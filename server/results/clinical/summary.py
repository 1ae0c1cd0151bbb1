"""What an evaluation's counts say of using a model: one entry for each cohort or pool, and each fusion net."""

from __future__ import annotations

from typing import Any

import numpy as np

from ceus_models.protocol.state import State
from ceus_models.study.taxonomy import LESION_TYPES
from server.results.clinical.conformal_sets import find_threshold_bin, measure_sets
from server.results.clinical.decision_curves import compute_decision_curves
from server.results.clinical.predictive_values import compute_predictive_values
from server.results.clinical.selective_accuracy import compute_selective_accuracy
from server.results.replicates import Resampling

CALIBRATED_ON = ("validation", "internal_test")
"""The first of these on which a net was evaluated chooses the threshold of its sets."""


def summarize_use(total: State, place: str, net: str, resampling: Resampling) -> dict[str, Any]:
    """`decision`, `predictive`, `selective` and `sets` of a net of six types; {} where it was not evaluated."""
    name = f"{place}|{net}|"
    if f"{name}confusion" not in total:
        return {}
    confusion, scores = (resampling.read(total, name + table) for table in ("confusion", "scores"))
    found = {
        "decision": compute_decision_curves(confusion, scores),
        "predictive": compute_predictive_values(confusion[0], resampling),
        "selective": compute_selective_accuracy(scores[0], resampling),
        "sets": _measure_sets(total, place, net, resampling),
    }
    return {key: entry for key, entry in found.items() if entry}


def _measure_sets(total: State, place: str, net: str, resampling: Resampling) -> dict[str, Any]:
    chosen = next((c for c in CALIBRATED_ON if f"{c}|{net}|scores" in total), None)
    if chosen is None or place in (chosen, "all_tests"):
        return {}  # a pool of all tests holds the cohort that chose
    first_bin = find_threshold_bin(total[f"{chosen}|{net}|scores"].numpy().astype(np.float64))
    if first_bin is None:
        return {}
    scores = total[f"{place}|{net}|scores"].numpy().astype(np.float64)
    return {"calibrated_on": chosen, **measure_sets(scores, first_bin, LESION_TYPES, resampling)}
