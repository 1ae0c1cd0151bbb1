"""Bins, bootstrap weights and seeds."""

from __future__ import annotations

import numpy as np
import pytest

from ceus_models.metrics.bootstrap import poisson_weights
from ceus_models.metrics.score_bins import FINE_BINS, compute_bins, compute_edge_probabilities
from ceus_models.runtime.seeds import derive_seed


def test_bins_are_monotone_and_cover_everything() -> None:
    p = np.concatenate([[0.0], np.sort(np.random.default_rng(0).random(1000)), [1.0]])
    bins = compute_bins(p, 64)
    assert (np.diff(bins) >= 0).all()
    assert bins[0] == 0
    assert bins[-1] == 63
    assert compute_bins(np.array([0.5]), 64)[0] == 32


def test_an_edge_is_where_its_bin_begins() -> None:
    edges = np.arange(1, FINE_BINS, dtype=np.float64)
    p = compute_edge_probabilities(edges, FINE_BINS)
    assert (compute_bins(p * (1 + 1e-9), FINE_BINS) == edges).all()
    assert (compute_bins(p * (1 - 1e-6), FINE_BINS) == edges - 1).all()


def test_weights_are_poisson_and_belong_to_the_lesion() -> None:
    weights = np.stack([poisson_weights(1, f"lesion {i}", 200) for i in range(300)])
    assert (weights[:, 0] == 1).all()
    draws = weights[:, 1:]
    assert draws.mean() == pytest.approx(1.0, abs=0.02)
    assert draws.var() == pytest.approx(1.0, abs=0.03)
    assert abs(np.corrcoef(draws[0], draws[1])[0, 1]) < 0.25
    assert (poisson_weights(1, "lesion 0", 200) == weights[0]).all()
    assert (poisson_weights(2, "lesion 0", 200) != weights[0]).any()
    assert (poisson_weights(1, "lesion 0", 50) == weights[0, :51]).all(), "more replicates keep the first ones"


def test_seeds_differ_by_every_part() -> None:
    seeds = {
        derive_seed(1, "a", 2),
        derive_seed(1, "a", 3),
        derive_seed("1", "a", 2),
        derive_seed(1, "a2"),
        derive_seed(12, "a"),
    }
    assert len(seeds) == 5
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert derive_seed(1, "a", 2) == derive_seed(1, "a", 2)
