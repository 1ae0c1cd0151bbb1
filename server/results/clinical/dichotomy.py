"""Two-sided questions within the six types: HCC against the rest, and malignant against benign."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ceus_models.study.taxonomy import LESION_TYPES, MALIGNANT_TYPES
from server.results.metrics import Floats

BENIGN_TYPES = ("HH", "HA")


@dataclass(frozen=True)
class Dichotomy:
    """The types that are positive and those that are negative; lesions of other types are left out.

    A lesion counts as called positive where the model names a positive type.
    """

    positive: tuple[str, ...]
    negative: tuple[str, ...]

    def count(self, confusion: Floats) -> tuple[Floats, Floats, Floats, Floats]:
        """True positives, positives, false positives and negatives of confusion matrices (… 6 6) [true, said]: (…)."""
        inside, outside = (
            confusion[..., [LESION_TYPES.index(kind) for kind in kinds], :] for kinds in (self.positive, self.negative)
        )
        said = [LESION_TYPES.index(kind) for kind in self.positive]
        called = [np.asarray(side[..., said].sum((-2, -1))) for side in (inside, outside)]
        whole = [np.asarray(side.sum((-2, -1))) for side in (inside, outside)]
        return called[0], whole[0], called[1], whole[1]

    def count_cells(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """Of how many cells true positives and positives are sums, and false positives and negatives."""
        sides = (self.positive, self.negative)
        first, second = ((len(side) * len(self.positive), len(side) * len(LESION_TYPES)) for side in sides)
        return first, second


DICHOTOMIES: Mapping[str, Dichotomy] = {
    "malignant": Dichotomy(MALIGNANT_TYPES, BENIGN_TYPES),
    "HCC": Dichotomy(("HCC",), tuple(kind for kind in LESION_TYPES if kind != "HCC")),
}
"""As in the reference study, other lesions (OT) are neither malignant nor benign."""
