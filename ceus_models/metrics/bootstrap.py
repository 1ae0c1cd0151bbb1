"""Bootstrap replicates that are sums: each lesion draws its own Poisson(1) weights from its own seed.

A pooled bootstrap resamples rows, so it needs the rows. In a Poisson bootstrap every row is counted Poisson(1)
times in each replicate, independently of all others; a replicate's total over sites is then the same number that
pooling would give (Chamandy et al., "Estimating uncertainty for massive data streams", 2012).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ceus_models.runtime.seeds import seed_of


def poisson_weights(seed: int, key: str, replicates: int) -> npt.NDArray[np.int32]:
    """(1 + replicates) weights of one lesion: 1 for the estimate itself, then Poisson(1) for each replicate.

    seed: the study's · key: the lesion's pseudonym. The same lesion gets the same weights for every net and every
    stage, so replicates of two models are paired.
    """
    generator = np.random.Generator(np.random.Philox(seed_of(seed, "bootstrap", key)))
    draws = generator.poisson(1.0, replicates)
    return np.concatenate([np.ones(1, np.int32), draws.astype(np.int32)])
