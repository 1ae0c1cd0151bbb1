"""The fusion net: from nine probabilities and the clinical record to six lesion types, in four variants."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as nnf
from torch import Tensor, nn

from ceus_models.protocol.messages import Recipe
from ceus_models.study.sample import Sample
from ceus_models.study.taxonomy import BIOMARKERS, CLINICAL_NAMES, DISEASE_TYPES, LESION_TYPES, SUBMODELS

# Which modules a variant sees: disease, clinical, biomarker.
SEES: Mapping[str, str] = {"fusion/D": "D", "fusion/DC": "DC", "fusion/DB": "DB", "fusion/DCB": "DCB"}
LOGIT_BOUND = 6.0
"""A sub-model surer than 0.9975 says no more to the fusion net than this."""
LOGIT_UNIT = 2.0
"""Logits are divided by this, to be of the size of the standardised clinical values beside them."""


class FusionMLP(nn.Module):
    """One hidden layer; deterministic (no dropout): (b inputs) → logits (b 6)."""

    def __init__(self, inputs: int, hidden: int) -> None:
        """inputs: of `width_of` · hidden: units of the hidden layer."""
        super().__init__()
        self.hidden = nn.Linear(inputs, hidden)
        self.out = nn.Linear(hidden, len(LESION_TYPES))

    def forward(self, x: Tensor) -> Tensor:
        """(b inputs) → (b 6) logits in the order of LESION_TYPES."""
        logits: Tensor = self.out(nnf.relu(self.hidden(x)))
        return logits


def width_of(net: str, recipe: Recipe) -> int:
    """How many numbers a fusion net sees of one lesion.

    Raises KeyError for a name that is not a fusion net.
    """
    sizes = {"D": len(DISEASE_TYPES), "B": len(BIOMARKERS), "C": 2 * len(recipe.selected)}
    return sum(sizes[part] for part in SEES[net])


def fusion_inputs(
    net: str, probabilities: npt.NDArray[np.float32], samples: Sequence[Sample], recipe: Recipe
) -> Tensor:
    """(b inputs) float32 of some lesions for one fusion net.

    probabilities (b 9) in the order of SUBMODELS · clinical variables: standardised with the global moments, 0
    where not recorded, followed by a flag per variable that is 1 where not recorded.
    """
    if probabilities.shape != (len(samples), len(SUBMODELS)):
        raise ValueError(f"probabilities must be {(len(samples), len(SUBMODELS))}, not {probabilities.shape}")
    p = np.clip(probabilities.astype(np.float64), 1e-9, 1 - 1e-9)
    logits = np.clip(np.log(p) - np.log1p(-p), -LOGIT_BOUND, LOGIT_BOUND) / LOGIT_UNIT
    parts = {
        "D": logits[:, : len(DISEASE_TYPES)],
        "B": logits[:, len(DISEASE_TYPES) :],
        "C": _clinical(samples, recipe),
    }
    return torch.from_numpy(np.concatenate([parts[part] for part in SEES[net]], axis=1).astype(np.float32))


def _clinical(samples: Sequence[Sample], recipe: Recipe) -> npt.NDArray[np.float64]:
    places = [CLINICAL_NAMES.index(name) for name in recipe.selected]
    mean = np.array(recipe.normaliser.clinical_mean)[places]
    sd = np.array(recipe.normaliser.clinical_sd)[places]
    values = np.stack([sample.clinical for sample in samples]).astype(np.float64)[:, places]
    missing = np.isnan(values)
    standard = (values - mean) / np.where(sd > 0, sd, 1.0)
    return np.concatenate([np.where(missing, 0.0, standard), missing.astype(np.float64)], axis=1)
