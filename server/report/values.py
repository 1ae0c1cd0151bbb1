"""Reading the numbers of a results.json: a missing or suppressed value is None here, never a guess."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ceus_models.study.taxonomy import COHORTS, FUSION_MODELS, FUSION_NETS, STRATEGY_A, STRATEGY_B, TEST_COHORTS

Results = Mapping[str, Any]
"""A parsed results.json."""

COHORT_TITLES: Mapping[str, str] = {
    "training_a": "Training A",
    "validation": "Validation",
    "training_b": "Training B",
    "internal_test": "Internal test",
    "external_test_a": "External test A",
    "external_test_b": "External test B",
    "external_test_c": "External test C",
}
PLACE_TITLES: Mapping[str, str] = {
    **COHORT_TITLES,
    "external_tests": "External tests together",
    "all_tests": "All test sets together",
}
"""Cohorts, and pools of them."""
CLASSIFIER_TITLES: Mapping[str, str] = {
    STRATEGY_A: "Strategy A (one five-type net)",
    STRATEGY_B: "Strategy B (five binary nets)",
    **{net: f"Model {net.removeprefix('fusion/')}" for net in FUSION_NETS},
}
READING_TITLES: Mapping[str, str] = {"alone": "alone", "assisted": "with the model"}
"""Ways of reading a lesion."""
MODEL_INPUTS: Mapping[str, str] = {
    "D": "disease nets",
    "DC": "disease nets + clinical variables",
    "DB": "disease nets + biomarker nets",
    "DCB": "disease nets + clinical variables + biomarker nets",
}
METRIC_TITLES: Mapping[str, str] = {
    "accuracy": "Accuracy",
    "macro_auc": "Macro-AUC",
    "macro_specificity": "Macro-specificity",
    "macro_recall": "Macro-recall",
    "macro_precision": "Macro-precision",
    "macro_npv": "Macro-NPV",
    "macro_f1": "Macro-F1",
}
SMALL_SUPPORT = 10
"""Below this many lesions a number is marked: one lesion more or less moves it by a tenth or more."""
TOO_COARSE = 0.05
"""A metric of a histogram whose stated bound is wider is not shown; results.json and the CSV have it."""
SIMULATED_LINKS = ("memory", "processes", "ray")


@dataclass(frozen=True)
class Estimate:
    """A value, its 95 % interval, the lesions it rests on, and the bound of an AUC read from a histogram."""

    value: float
    low: float | None = None
    high: float | None = None
    n: int | None = None
    resolution: float | None = None


def short_title(net: str) -> str:
    """The title of a classifier without what it is made of; other names stay as they are."""
    return CLASSIFIER_TITLES.get(net, net).partition(" (")[0]


def number(raw: object) -> float | None:
    """A finite number, or None for null, NaN, text and booleans."""
    if isinstance(raw, bool) or not isinstance(raw, int | float):
        return None
    return float(raw) if math.isfinite(raw) else None


def estimate(raw: object) -> Estimate | None:
    """Read `{value, low, high, n, resolution}` or a bare number.

    None where there is no value, or where the bound on it is wider than TOO_COARSE: it could be nearly anything.
    """
    if not isinstance(raw, Mapping):
        value = number(raw)
        return None if value is None else Estimate(value)
    value = number(raw.get("value"))
    if value is None:
        return None
    low, high, resolution = (number(raw.get(key)) for key in ("low", "high", "resolution"))
    if resolution is not None and resolution > TOO_COARSE:
        return None
    return Estimate(value, low, high, whole(raw.get("n")), resolution)


def lookup(results: object, *path: str) -> Any:
    """What stands at a path of keys, or None as soon as one is missing."""
    here = results
    for key in path:
        if not isinstance(here, Mapping) or key not in here:
            return None
        here = here[key]
    return here


def section(results: object, *path: str) -> Mapping[str, Any]:
    """The mapping at a path of keys; empty where there is none."""
    found = lookup(results, *path)
    return found if isinstance(found, Mapping) else {}


def metric(results: Results, cohort: str, model: str, *name: str) -> Estimate | None:
    """One metric of a fusion model on a cohort, e.g. `metric(r, "internal_test", "DCB", "recall", "OT")`."""
    return estimate(lookup(results, "cohorts", cohort, "models", model, *name))


def tested_cohorts(results: Results) -> list[str]:
    """The test cohorts that have results, in the study's order."""
    return [cohort for cohort in TEST_COHORTS if models_of(results, cohort)]


def models_of(results: Results, cohort: str) -> list[str]:
    """The fusion models that have results on a cohort, in the order D, DC, DB, DCB."""
    present = section(results, "cohorts", cohort, "models")
    return [model for model in FUSION_MODELS if present.get(model)]


def support(results: Results, cohort: str) -> Mapping[str, int]:
    """Lesions per type of a cohort: those evaluated by a fusion net, of the federated statistics, or by strategy B."""
    found = (
        section(results, "cohorts", cohort, "support")
        or section(results, "statistics", "types", cohort)
        or section(results, "nets", STRATEGY_B, cohort, "support")
    )
    return {name: int(count) for name, count in found.items() if number(count) is not None}


def cohort_size(results: Results, cohort: str) -> int | None:
    """Lesions of a cohort with a label, or None where the results do not say."""
    n = number(lookup(results, "cohorts", cohort, "n"))
    if n is not None:
        return int(n)
    return sum(support(results, cohort).values()) or None


def known_cohorts(results: Results) -> list[str]:
    """All cohorts of which the results give counts, in the study's order."""
    return [cohort for cohort in COHORTS if support(results, cohort)]


def majority(results: Results, cohort: str) -> tuple[str, float] | None:
    """The commonest type of a cohort and its share: the accuracy of always naming it."""
    counts = support(results, cohort)
    total = sum(counts.values())
    if not total:
        return None
    name = max(counts, key=lambda kind: counts[kind])
    return name, counts[name] / total


def is_simulated(results: Results) -> bool:
    """True for phantom data: the results say so, or their link exists in the simulator only."""
    said = results.get("simulated")
    return bool(said) if said is not None else results.get("link") in SIMULATED_LINKS


def resolutions(raw: object) -> Iterator[float]:
    """Every AUC resolution bound anywhere in the results."""
    if isinstance(raw, Mapping):
        bound = number(raw.get("resolution"))
        if bound is not None:
            yield bound
        for value in raw.values():
            yield from resolutions(value)


def whole(raw: object) -> int | None:
    """A count, or None where none is given."""
    found = number(raw)
    return None if found is None else int(found)


def count_items(raw: object) -> int:
    """A count that is given as a number or as the list of those counted."""
    if isinstance(raw, Mapping | list | tuple):
        return len(raw)
    return int(number(raw) or 0)
