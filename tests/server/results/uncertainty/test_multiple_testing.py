from __future__ import annotations

import numpy as np
import pytest
from statsmodels.stats.multitest import multipletests

from server.results.uncertainty.multiple_testing import adjust_holm, adjust_tests


def test_it_is_statsmodels():
    p = np.random.default_rng(3).uniform(0, 0.2, 37)
    assert adjust_holm(p.tolist()) == pytest.approx(multipletests(p, method="holm")[1].tolist())
    assert adjust_holm([]) == []


def test_each_test_says_how_many_there_are():
    tests = [{"p": 0.04}, {"p": 0.01}, {"p": 0.5}]
    adjust_tests(tests)
    assert [(t["p"], t["p_holm"], t["tests"]) for t in tests] == [(0.04, 0.08, 3), (0.01, 0.03, 3), (0.5, 0.5, 3)]
