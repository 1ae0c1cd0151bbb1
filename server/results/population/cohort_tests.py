"""Whether cohorts differ in who their lesions are of: the p values of Table 1.

Pearson's chi-square of homogeneity over cohorts and known values. What is true of a patient is true of all his lesions,
so the statistic is divided by how many lesions the patient of a lesion has (Rao & Scott 1981, J Am Stat Assoc 76:221).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ceus_models.study.subgroups import UNKNOWN
from server.results.uncertainty.distributions import chi_square_p
from server.results.uncertainty.multiple_testing import adjust_tests

FEW = 5.0
"""A chi-square with an expected count below it is rough."""
_OVERLAPPING = ("biomarkers",)
"""Not one value a lesion."""


def compare_cohorts(tables: Mapping[str, Mapping[str, Mapping[str, int]]], lesions_of_patient: float) -> dict[str, Any]:
    """One test for each variable that at least two cohorts know two values of; p corrected for their number.

    Args:
        tables: cohort → variable → value → lesions.
        lesions_of_patient: of the patient of a lesion, on average.

    Returns:
        Variable → {p, p_holm, tests, statistic, degrees, cohorts, rough}.
    """
    variables = dict.fromkeys(name for table in tables.values() for name in table if name not in _OVERLAPPING)
    found = {name: test for name in variables if (test := _compare(tables, name, lesions_of_patient))}
    adjust_tests(list(found.values()))
    return found


def _compare(
    tables: Mapping[str, Mapping[str, Mapping[str, int]]], variable: str, lesions_of_patient: float
) -> dict[str, Any]:
    rows = [table[variable] for table in tables.values() if variable in table]
    values = dict.fromkeys(value for row in rows for value in row if value != UNKNOWN)
    counts = np.array([[row.get(value, 0) for value in values] for row in rows], np.float64)
    counts = counts.reshape(len(rows), len(values))
    counts = counts[counts.sum(1) > 0][:, counts.sum(0) > 0]
    degrees = (counts.shape[0] - 1) * (counts.shape[1] - 1)
    if min(counts.shape) < 2:
        return {}
    expected = counts.sum(1)[:, None] * counts.sum(0) / counts.sum()
    statistic = float(((counts - expected) ** 2 / expected).sum()) / lesions_of_patient
    return {
        "p": chi_square_p(statistic, degrees),
        "statistic": statistic,
        "degrees": degrees,
        "cohorts": len(counts),
        "rough": bool(expected.min() < FEW),
    }
