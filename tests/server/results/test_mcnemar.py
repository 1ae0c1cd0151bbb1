"""Oracle: statsmodels, and SciPy where statsmodels is known to differ."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar

from server.results.mcnemar import EXACT_BELOW, chi_square_p, exact_p, mcnemar_test

PAIRS = [(0, 0), (1, 0), (0, 7), (5, 5), (3, 12), (24, 0), (12, 13), (40, 61), (300, 1400), (2, 9000)]


@pytest.mark.parametrize(("first", "second"), [pair for pair in PAIRS if sum(pair)])
@pytest.mark.parametrize("exact", [True, False])
def test_both_tests_are_statsmodels(first, second, exact):
    expected = mcnemar([[11, second], [first, 17]], exact=exact, correction=True).pvalue
    if not exact and first == second:  # corrected beyond the difference itself; R does not, nor do we
        assert expected < 1
        expected = 1.0
    found = mcnemar_test(np.array([[11, second], [first, 17]]))
    assert found["p_exact" if exact else "p_chi_square"] == pytest.approx(expected, rel=1e-9, abs=1e-300)


@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_the_exact_test_is_scipys_binomial_test(first, second):
    n = first + second
    expected = stats.binomtest(first, n, 0.5).pvalue if n else 1.0
    assert exact_p(first, second) == pytest.approx(expected, rel=1e-9, abs=1e-300)
    assert exact_p(first, second) == exact_p(second, first)


@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_the_corrected_test_is_scipys_chi_square(first, second):
    n = first + second
    statistic = (abs(first - second) - 1) ** 2 / n if n and first != second else 0.0
    assert chi_square_p(first, second) == pytest.approx(stats.chi2.sf(statistic, 1), rel=1e-9)


def test_the_rule_between_the_two_and_the_counts():
    few = mcnemar_test(np.array([[10, 4], [EXACT_BELOW - 5, 30]]))
    assert few["test"] == "exact"
    assert few["p"] == few["p_exact"]
    assert (few["neither"], few["second_only"], few["first_only"], few["both"], few["n"]) == (10, 4, 20, 30, 64)
    many = mcnemar_test(np.array([[10, 5], [EXACT_BELOW - 5, 30]]))
    assert many["test"] == "chi-square"
    assert many["p"] == many["p_chi_square"]
