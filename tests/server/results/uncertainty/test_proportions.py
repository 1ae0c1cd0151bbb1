"""Oracle: statsmodels where it has the method; else the coverage of drawn lesions."""

from __future__ import annotations

import math

import numpy as np
import pytest
from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint

from server.results.uncertainty.proportions import (
    average,
    divide,
    subtract_independent,
    subtract_paired,
    wilson_interval,
)

COUNTS = [(0, 7), (7, 7), (1, 40), (33, 40), (700, 1088)]


@pytest.mark.parametrize(("right", "n"), COUNTS)
@pytest.mark.parametrize("level", [0.9, 0.95])
def test_wilson_is_statsmodels_and_never_a_point(right, n, level):
    found = wilson_interval(right, n, level)
    assert found == pytest.approx(proportion_confint(right, n, 1 - level, "wilson"), abs=1e-12)
    assert found[1] - found[0] > 0.01


@pytest.mark.parametrize(("first", "second"), [((56, 70), (48, 80)), ((10, 10), (10, 10)), ((0, 9), (12, 12))])
def test_a_difference_of_other_lesions_is_statsmodels(first, second):
    expected = confint_proportions_2indep(*first, *second, method="newcomb", compare="diff")
    assert subtract_independent(first, second) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("share", [(0.02, 0.02), (0.1, 0.03), (0.25, 0.2)])
def test_a_paired_difference_is_covered_as_often_as_it_says(share):
    draws = np.random.default_rng(4).multinomial(80, [*share, 1 - sum(share)], 4000)
    held = [low <= share[0] - share[1] <= high for low, high in (subtract_paired((a, b), 80) for a, b, _ in draws)]
    assert np.mean(held) > 0.94, "of rare differences more often"
    assert min(high - low for low, high in (subtract_paired((0, 0), n) for n in (5, 500))) > 0.01


def test_noise_widens_a_paired_difference():
    narrow, wide = (subtract_paired((5, 3), 60, extra_variance=v) for v in (0.0, 0.01))
    assert wide[1] - wide[0] > 1.3 * (narrow[1] - narrow[0])


def test_a_ratio_is_covered_as_often_as_it_says():
    rng = np.random.default_rng(6)
    held = []
    for a, b in zip(rng.binomial(60, 0.1, 3000), rng.binomial(90, 0.85, 3000), strict=True):
        low, high = divide((a / 60, wilson_interval(a, 60)), (b / 90, wilson_interval(b, 90)))
        held.append(low <= 0.1 / 0.85 <= high)
    assert 0.93 < np.mean(held) < 0.985
    assert divide((0.1, (0.0, 0.2)), (0.0, (0.0, 0.1)))[1] == math.inf


def test_the_mean_of_proportions_has_an_interval_that_holds_it_as_often_as_it_says():
    assert average([(0.8, wilson_interval(8, 10))]) == pytest.approx(wilson_interval(8, 10))
    rng, held, truth = np.random.default_rng(4), 0, np.array([0.95, 0.8, 0.6, 0.9])
    for _ in range(1500):
        right = rng.binomial((60, 30, 12, 9), truth)
        low, high = average([(r / n, wilson_interval(r, n)) for r, n in zip(right, (60, 30, 12, 9), strict=True)])
        assert low < high
        held += low <= truth.mean() <= high
    assert 0.93 < held / 1500 < 0.985
    low, high = average([(1.0, wilson_interval(9, 9)), (0.0, wilson_interval(0, 9))])
    assert low < 0.5 < high
