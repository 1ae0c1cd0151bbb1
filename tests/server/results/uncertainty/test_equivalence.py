"""Equivalence: the two one-sided tests of statsmodels, and what does not follow from a large p."""

from __future__ import annotations

import numpy as np
import pytest
from statsmodels.stats.proportion import confint_proportions_2indep

from ceus_models.study.taxonomy import TEST_COHORTS
from server.results.uncertainty.equivalence import MARGIN, compare_trainings, judge_paired


def arms(federated: float, pooled: float, n: int) -> dict:
    return {
        name: {cohort: {"accuracy": {"value": value, "n": n}} for cohort in TEST_COHORTS[:2]}
        for name, value in (("federated", federated), ("pooled", pooled))
    }


def test_the_same_value_of_few_lesions_is_not_equivalent_and_of_many_is():
    few, many = (compare_trainings(arms(0.86, 0.86, n), {}) for n in (50, 2000))
    assert not few["internal_test"]["equivalence"]["equivalent"]
    assert many["internal_test"]["equivalence"]["equivalent"]
    assert not few["all_tests"]["equivalence"]["different"]
    far = compare_trainings(arms(0.9, 0.7, 500), {})["all_tests"]["equivalence"]
    assert (far["equivalent"], far["different"]) == (False, True)


def test_intervals_are_newcombes_over_the_lesions_of_all_cohorts():
    found = compare_trainings(arms(0.85, 0.8, 100), {})["all_tests"]
    expected = confint_proportions_2indep(170, 200, 160, 200, method="newcomb", compare="diff")
    assert (found["difference"]["low"], found["difference"]["high"]) == pytest.approx(expected)
    assert found["difference"]["value"] == pytest.approx(0.05)
    narrow = confint_proportions_2indep(170, 200, 160, 200, method="newcomb", compare="diff", alpha=0.1)
    assert (found["equivalence"]["low"], found["equivalence"]["high"]) == pytest.approx(narrow)


def test_patients_with_several_lesions_make_equivalence_harder():
    plain, clustered = (compare_trainings(arms(0.86, 0.86, 500), effects) for effects in ({}, {"all_tests": 1.5}))
    ends = [found["all_tests"]["equivalence"]["high"] for found in (plain, clustered)]
    assert ends[1] == pytest.approx(ends[0] * 1.5**0.5, rel=0.01)


def test_models_at_the_margin_are_called_equivalent_at_most_as_often_as_stated():
    rng = np.random.default_rng(2)
    draws = rng.multinomial(400, [0.1 + MARGIN, 0.1, 0.8 - MARGIN], 4000)
    wrong = np.mean([judge_paired((a, b), 400)["equivalent"] for a, b, _ in draws])
    assert 0.02 < wrong < 0.065


def test_arms_without_counts_are_left_out():
    assert compare_trainings({"federated": {"internal_test": {"accuracy": {"value": 0.8}}}, "pooled": {}}, {}) == {}
