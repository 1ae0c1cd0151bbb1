"""Bootstrap replicates, drawn by the coordinator from released counts.

In the Poisson bootstrap (Chamandy et al., "Estimating uncertainty for massive data streams", 2012) a lesion counts
Poisson(1) times in a replicate. Lesions of disjoint cells are drawn independently, and a sum of n such draws is
Poisson(n): the counts suffice, and no draw of a single lesion ever leaves a site.

What this cannot know. Tables of one net are drawn independently, and so are the histograms of its classes: the interval
of the macro AUC is narrower than one over lesions that are drawn once for all classes. Lesions of one patient are drawn
apart. So a count is divided by the design effect before it is drawn, and multiplied after: its variance is larger by as
much, as it is where lesions of a patient are alike (`server.results.uncertainty.design_effect`). Figures:
docs/decisions.md.
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
        design: effect by which the variance of a count is larger than that of independent lesions.
    """

    seed: int = 0
    replicates: int = 0
    noise_sd: float = 0.0
    design: float = 1.0

    def draw(self, name: str, counts: npt.NDArray[np.integer]) -> Floats:
        """The table and its replicates (1+R …), each with the table as its mean.

        Without noise and clusters a replicate is Poisson(n) of each cell. A noised cell below 0 has no lesions to draw,
        but keeps its value: cut off at 0, empty cells would add up to lesions that nobody has.
        """
        mean = np.asarray(counts, dtype=np.float64)
        generator = np.random.Generator(np.random.Philox(derive_seed(self.seed, "replicates", name)))
        shape = (self.replicates, *mean.shape)
        filled = np.maximum(mean, 0.0)
        drawn = generator.poisson(filled / self.design, shape) * self.design + (mean - filled)
        if self.noise_sd:
            drawn = drawn + generator.normal(0.0, self.noise_sd, shape)
        return np.concatenate([mean[None], drawn])

    def read(self, total: State, name: str) -> Floats:
        """`draw` of the tensor `name`."""
        return self.draw(name, total[name].numpy())

    def inflate(self, counted: float, of: float, cells: tuple[int, int]) -> float:
        """By how much the variance of a share is larger than that of a share of `of` independent lesions.

        Noise adds the variance of the counts that are added. Shares near 0 and 1, where that of lesions vanishes, are
        drawn in by two lesions of either kind (Agresti & Coull 1998).

        Args:
            counted: lesions that count.
            of: lesions among which they are.
            cells: number of noised cells that `counted`, and that `of`, adds up.
        """
        if not self.noise_sd:
            return self.design
        share = (min(max(counted, 0.0), of) + 2) / (of + 4)
        inside, around = cells[0], cells[1] - cells[0]
        noise = self.noise_sd**2 * (inside * (1 - share) ** 2 + around * share**2) / of
        return self.design + noise / (share * (1 - share))
