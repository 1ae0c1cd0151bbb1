"""The Poisson bootstrap (Chamandy et al., "Estimating uncertainty for massive data streams", 2012).

In every replicate a lesion counts Poisson(1) times, independently of all other lesions. The weights of a lesion are the
same wherever it is counted: they pair the arms of a simulation, and they are a fingerprint of the lesion. A study draws
its replicates from counts instead (`server.results.replicates`).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ceus_models.runtime.seeds import derive_seed


def poisson_weights(seed: int, key: str, replicates: int) -> npt.NDArray[np.int32]:
    """Draw the weights (1 + replicates) of one lesion: 1 for the estimate, then Poisson(1) for each replicate.

    The same lesion gets the same weights for every net and stage, so replicates of two models are paired.

    Args:
        seed: of the study.
        key: pseudonym of the lesion.
        replicates: number of bootstrap replicates.

    >>> poisson_weights(7, "lesion-1", 4).tolist()
    [1, 0, 1, 2, 1]
    """
    generator = np.random.Generator(np.random.Philox(derive_seed(seed, "bootstrap", key)))
    draws = generator.poisson(1.0, replicates)
    return np.concatenate([np.ones(1, np.int32), draws.astype(np.int32)])
