"""Bootstrap replicates, drawn by the coordinator from released counts.

In the Poisson bootstrap (Chamandy et al., "Estimating uncertainty for massive data streams", 2012) a lesion counts
Poisson(1) times in a replicate. Lesions of disjoint cells are drawn independently, and a sum of n such draws is
Poisson(n): the counts suffice, and no draw of a single lesion ever leaves a site.

What this cannot know. Tables of one net are drawn independently, and so are the histograms of its classes: the interval
of the macro AUC is narrower than one over lesions that are drawn once for all classes. Lesions of one patient are drawn
apart, as the sites did before: with m lesions a patient whose answers correlate by r, intervals over patients would be
wider by √(1 + (m - 1) r). So are the reads of one lesion by several readers of a role. Figures: docs/decisions.md.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ceus_models.protocol.state import State
from ceus_models.runtime.seeds import derive_seed

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Resampling:
    """How tables of counts are resampled.

    Args:
        seed: of the study; the same table under the same name gives the same draws.
        replicates: their number.
        noise_sd: standard deviation of the noise in every cell, in lesions; drawn anew in every replicate, so that
            intervals include it.
    """

    seed: int = 0
    replicates: int = 0
    noise_sd: float = 0.0

    def draw(self, name: str, counts: npt.NDArray[np.integer]) -> Floats:
        """The table and its replicates (1+R …), each with the table as its mean.

        Without noise a replicate is Poisson(n) of each cell. A noised cell below 0 has no lesions to draw, but keeps
        its value: cut off at 0, empty cells would add up to lesions that nobody has.
        """
        mean = np.asarray(counts, dtype=np.float64)
        generator = np.random.Generator(np.random.Philox(derive_seed(self.seed, "replicates", name)))
        shape = (self.replicates, *mean.shape)
        filled = np.maximum(mean, 0.0)
        drawn = generator.poisson(filled, shape) + (mean - filled)
        if self.noise_sd:
            drawn = drawn + generator.normal(0.0, self.noise_sd, shape)
        return np.concatenate([mean[None], drawn])

    def read(self, total: State, name: str) -> Floats:
        """`draw` of the tensor `name`."""
        return self.draw(name, total[name].numpy())
