"""What the reference study reports, to stand beside our numbers.

Source: Ding et al., J Hepatol 2025;83:426-439, doi 10.1016/j.jhep.2025.01.011 (NCT04682886). Its patients are
real; a phantom run is compared with it in kind, not in value.
"""

from __future__ import annotations

from collections.abc import Mapping

from ceus_models.study.taxonomy import STRATEGY_A, STRATEGY_B
from server.report.values import Estimate

CITATION = "Ding et al., J Hepatol 2025;83:426-439, doi 10.1016/j.jhep.2025.01.011, NCT04682886"

LESIONS: Mapping[str, int] = {
    "training_a": 2088,
    "validation": 592,
    "training_b": 234,
    "internal_test": 110,
    "external_test_a": 113,
    "external_test_b": 276,
    "external_test_c": 312,
}

# (cohort, model, metric) -> value, low, high
_METRICS: Mapping[tuple[str, str, str], tuple[float, float, float]] = {
    ("internal_test", "D", "accuracy"): (0.80, 0.72, 0.87),
    ("internal_test", "DC", "accuracy"): (0.84, 0.76, 0.91),
    ("internal_test", "DB", "accuracy"): (0.86, 0.81, 0.93),
    ("internal_test", "DCB", "accuracy"): (0.90, 0.85, 0.95),
    ("internal_test", "DCB", "macro_auc"): (0.89, 0.84, 0.93),
    ("internal_test", "DCB", "macro_specificity"): (0.98, 0.97, 0.99),
    ("internal_test", "DCB", "macro_recall"): (0.82, 0.69, 0.97),
    ("internal_test", "DCB", "macro_npv"): (0.98, 0.97, 0.99),
    ("internal_test", "DCB", "macro_f1"): (0.84, 0.73, 0.92),
    ("external_test_a", "DCB", "accuracy"): (0.85, 0.78, 0.92),
    ("external_test_b", "DCB", "accuracy"): (0.85, 0.80, 0.89),
    ("external_test_c", "DCB", "accuracy"): (0.86, 0.82, 0.90),
    ("external_test_c", "DCB", "macro_specificity"): (0.97, 0.96, 0.98),
    ("external_test_c", "DCB", "macro_recall"): (0.85, 0.81, 0.90),
    ("external_test_c", "DCB", "macro_precision"): (0.81, 0.75, 0.86),
    ("external_test_c", "DCB", "macro_npv"): (0.97, 0.96, 0.98),
    ("external_test_c", "DCB", "macro_f1"): (0.83, 0.78, 0.88),
}

# metric of DCB -> lowest and highest over the four test sets
_RANGES: Mapping[str, tuple[float, float]] = {
    "accuracy": (0.85, 0.90),
    "macro_auc": (0.87, 0.91),
    "macro_specificity": (0.96, 0.98),
    "macro_recall": (0.75, 0.85),
    "macro_precision": (0.79, 0.87),
    "macro_npv": (0.97, 0.98),
    "macro_f1": (0.78, 0.84),
}

# net -> AUC in training A and on the validation set
_NET_AUCS: Mapping[str, Mapping[str, tuple[float, float, float]]] = {
    "training_a": {
        "biomarker/Hep": (0.83, 0.79, 0.87),
        "biomarker/GPC3": (0.81, 0.77, 0.85),
        "biomarker/CK7": (0.80, 0.76, 0.84),
        "biomarker/CK19": (0.80, 0.76, 0.84),
    },
    "validation": {
        "biomarker/Hep": (0.81, 0.73, 0.89),
        "biomarker/GPC3": (0.77, 0.68, 0.85),
        "biomarker/CK7": (0.78, 0.69, 0.86),
        "biomarker/CK19": (0.79, 0.69, 0.87),
    },
}
# strategy -> metric -> value on the validation set
_STRATEGIES: Mapping[str, Mapping[str, tuple[float, float, float]]] = {
    STRATEGY_A: {
        "accuracy": (0.77, 0.74, 0.79),
        "macro_auc": (0.81, 0.79, 0.83),
        "macro_specificity": (0.92, 0.88, 0.95),
        "macro_recall": (0.71, 0.67, 0.75),
        "macro_precision": (0.75, 0.72, 0.77),
        "macro_npv": (0.93, 0.87, 0.95),
        "macro_f1": (0.72, 0.68, 0.76),
    },
    STRATEGY_B: {
        "accuracy": (0.83, 0.80, 0.86),
        "macro_auc": (0.86, 0.83, 0.89),
        "macro_specificity": (0.94, 0.89, 0.97),
        "macro_recall": (0.79, 0.76, 0.82),
        "macro_precision": (0.85, 0.82, 0.88),
        "macro_npv": (0.95, 0.89, 0.98),
        "macro_f1": (0.81, 0.78, 0.83),
    },
}
READER_ACCURACY: Mapping[str, tuple[float, float | None]] = {
    "junior1": (0.59, 0.83),
    "junior2": (0.70, 0.85),
    "junior3": (0.63, 0.84),
    "senior1": (0.83, 0.86),
    "senior2": (0.85, 0.85),
    "senior3": (0.83, 0.86),
    "mri1": (0.86, None),
    "mri2": (0.86, None),
}
"""Reader -> accuracy on external test C, alone and with the model."""
_READERS: Mapping[str, tuple[float, float | None]] = {**READER_ACCURACY, "model": (0.86, None)}
# misdiagnoses over the three external tests: wrong, of
_MISDIAGNOSES: Mapping[str, tuple[int, int]] = {
    "hcc_hm_confusion": (27, 472),
    "malignant_as_benign": (21, 522),
    "hm_ha_confusion": (7, 221),
}


def study_metric(cohort: str, model: str, metric: str) -> Estimate | None:
    """The study's value of a metric with its 95 % interval, or None where it gives none."""
    found = _METRICS.get((cohort, model, metric))
    return None if found is None else Estimate(*found)


def study_range(metric: str) -> tuple[float, float]:
    """The lowest and the highest value of a metric of the study's DCB over its test sets."""
    return _RANGES[metric]


def study_auc(net: str, cohort: str) -> Estimate | None:
    """The study's AUC of a sub-model in training A or on its validation set, or None where it gives none."""
    found = _NET_AUCS.get(cohort, {}).get(net)
    return None if found is None else Estimate(*found)


def study_strategy(net: str, metric: str) -> Estimate | None:
    """The study's value of a metric of strategy A or B on its validation set."""
    found = _STRATEGIES[net].get(metric)
    return None if found is None else Estimate(*found)


def study_reader(code: str, place: int) -> Estimate | None:
    """The study's accuracy of a reader, or of its model, on external test C: alone (place 0) or with the model (1)."""
    value = _READERS[code][place]
    return None if value is None else Estimate(value)


def study_misdiagnosis(key: str) -> tuple[int, int]:
    """How many lesions the study's model took for each other, and of how many."""
    return _MISDIAGNOSES[key]
