"""The design effect from sums, against lesions that are drawn with their patients."""

from __future__ import annotations

import numpy as np
import pytest

from ceus_models.plan.progress import Progress
from server.results.intervals import estimate_share
from server.results.replicates import Resampling
from server.results.uncertainty.design_effect import CORRELATION, Clusters, count_clusters, repeat_answers
from server.results.uncertainty.proportions import wilson_interval

HELD = {"lesions": {"a": {"x": 60, "y": 4}, "b": {"x": 50}}, "patients": {"a": {"x": 55, "y": 4}, "b": {"x": 45}}}


def test_it_comes_from_what_the_sites_declared():
    found = count_clusters(Progress(counts=HELD["lesions"], patients=HELD["patients"]), ("x",))
    assert found == Clusters(110, 100)
    assert found.effect == pytest.approx(1 + 0.2 * CORRELATION)
    assert count_clusters(Progress(), ("x",)).effect == 1.0
    assert repeat_answers(found.effect, 1.0) == pytest.approx(found.effect)


def test_the_variance_of_clustered_lesions_is_as_much_larger():
    """Sizes fall geometrically; the lesions of a patient share their answer with the stated correlation."""
    rng, means, sizes = np.random.default_rng(1), [], []
    for _ in range(4000):
        size = rng.geometric(0.8, 120)
        patient = np.repeat(rng.random(120) < 0.8, size)
        shared = rng.random(len(patient)) < CORRELATION**0.5
        means.append(np.where(shared, patient, rng.random(len(patient)) < 0.8).mean())
        sizes.append(len(patient))
    expected = Clusters(round(np.mean(sizes)), 120).effect
    assert np.var(means) / (0.16 / np.mean(sizes)) == pytest.approx(expected, rel=0.06)


def test_intervals_are_those_of_fewer_lesions():
    design = 1.3
    found = estimate_share(60, 78, Resampling(design=design))
    assert (found["low"], found["high"]) == pytest.approx(wilson_interval(60 / design, 78 / design))
    assert found["n"] == 78
    counts = np.array([40, 900])
    plain, wide = (Resampling(1, 20_000, design=d).draw("a", counts) for d in (1.0, 2.0))
    np.testing.assert_allclose(wide[1:].var(0) / plain[1:].var(0), 2.0, rtol=0.05)
    np.testing.assert_allclose(wide[1:].mean(0), counts, rtol=0.02)


def test_noise_widens_a_proportion_and_the_truth_is_inside():
    """5 of 30 lesions in the cells of a noised confusion matrix, a thousand times."""
    rng, truth, held = np.random.default_rng(5), 25 / 30, 0
    for _ in range(1000):
        right, wrong = 25 + rng.normal(0, 2.0), 5 + rng.normal(0, 2.0)
        found = estimate_share(right, right + wrong, Resampling(noise_sd=2.0))
        held += found["low"] <= truth <= found["high"]
    assert held > 950
    narrow = estimate_share(25, 30, Resampling())
    assert found["high"] - found["low"] > narrow["high"] - narrow["low"]
