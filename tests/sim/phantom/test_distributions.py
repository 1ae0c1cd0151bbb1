from __future__ import annotations

import numpy as np
import pytest

from sim.phantom.distributions import LogNormal, Normal, correlate, draw_value


def test_centres_and_spreads() -> None:
    assert LogNormal(50, 2.0).at(1.0) == pytest.approx(100)
    assert LogNormal(50, 2.0).at(-1.0) == pytest.approx(25)
    assert Normal(5, 2).at(1.5) == pytest.approx(8)


def test_clips_at_the_bounds() -> None:
    assert LogNormal(50, 2.0, 40, 60).at(3) == 60
    assert Normal(5, 2, 4, 6).at(-3) == 4


def test_tied_keeps_the_distribution() -> None:
    a, b = np.random.default_rng(0).standard_normal((2, 4000))
    z = np.array([correlate(x, y, -0.6) for x, y in zip(a, b, strict=True)])
    assert z.std() == pytest.approx(1.0, abs=0.04)
    assert np.corrcoef(z, b)[0, 1] == pytest.approx(-0.6, abs=0.04)


def test_draws_follow_the_generator() -> None:
    prior = LogNormal(3, 1.5)
    assert draw_value(prior, np.random.default_rng(4)) == draw_value(prior, np.random.default_rng(4))
