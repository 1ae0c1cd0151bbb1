"""Student's t and chi-square are SciPy's."""

from __future__ import annotations

import pytest
from scipy import stats

from server.results.uncertainty.distributions import chi_square_p, t_p, t_quantile


@pytest.mark.parametrize("degrees", [1, 1.7, 2, 3, 4, 5.35, 10, 33, 200, 5000.5])
def test_t_is_scipys(degrees: float):
    for level in (0.9, 0.95, 0.99):
        assert t_quantile(degrees, level) == pytest.approx(stats.t.ppf(0.5 + level / 2, degrees), rel=1e-9)
    for t in (0.0, 0.01, 0.7, -2.0, 6.0, 40.0):
        assert t_p(t, degrees) == pytest.approx(2 * stats.t.sf(abs(t), degrees), rel=1e-6, abs=1e-12)


@pytest.mark.parametrize("degrees", [1, 2, 3, 6, 9, 30, 55])
def test_chi_square_is_scipys(degrees: int):
    for statistic in (0.0, 0.1, 1.0, 7.0, 40.0, 300.0):
        assert chi_square_p(statistic, degrees) == pytest.approx(stats.chi2.sf(statistic, degrees), rel=1e-9)
