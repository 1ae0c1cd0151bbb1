"""Bootstrap weights and seeds."""

from __future__ import annotations

import numpy as np
import pytest

from ceus_models.metrics.bootstrap import poisson_weights
from ceus_models.runtime.seeds import derive_seed


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
