"""Oracle: SciPy's test of a contingency table, and a simulation of patients with several lesions."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from server.results.population.cohort_tests import compare_cohorts

TABLES = {
    "a": {"sex": {"male": 40, "female": 22, "unknown": 3}, "age": {"<50": 20, ">60": 45}, "biomarkers": {"Hep": 9}},
    "b": {"sex": {"male": 31, "female": 29}, "age": {"<50": 33, ">60": 30, "unknown": 8}},
    "c": {"sex": {"male": 12, "female": 19, "unknown": 1}, "age": {">60": 3}, "etiology": {"no": 9, "yes": 7}},
}


def test_p_is_that_of_the_contingency_table():
    found = compare_cohorts(TABLES, 1.0)
    assert set(found) == {"sex", "age"}, "one cohort alone is compared with none"
    for name, table in (("sex", [[40, 22], [31, 29], [12, 19]]), ("age", [[20, 45], [33, 30], [0, 3]])):
        expected = stats.chi2_contingency(np.array(table), correction=False)
        assert (found[name]["statistic"], found[name]["p"]) == pytest.approx((expected.statistic, expected.pvalue))
        assert found[name]["degrees"] == expected.dof
        assert found[name]["rough"] == (expected.expected_freq.min() < 5)
    corrected = multipletests([found[name]["p"] for name in found], method="holm")[1]
    assert [one["p_holm"] for one in found.values()] == pytest.approx(corrected.tolist())


def test_patients_with_several_lesions_do_not_make_cohorts_differ():
    """Patients of one to three lesions, all of a patient alike; 5 % of 600, give or take three deviations."""
    rng, wrong = np.random.default_rng(2), 0
    for _ in range(600):
        tables, lesions, patients = {}, 0, 0
        for cohort in "ab":
            sizes = rng.choice([1, 2, 3], 150, p=(0.7, 0.2, 0.1))
            male = rng.random(150) < 0.6
            tables[cohort] = {"sex": {"male": int(sizes[male].sum()), "female": int(sizes[~male].sum())}}
            lesions, patients = lesions + int((sizes**2).sum()), patients + int(sizes.sum())
        wrong += compare_cohorts(tables, lesions / patients)["sex"]["p"] < 0.05
    assert wrong / 600 < 0.05 + 3 * np.sqrt(0.05 * 0.95 / 600)
