"""The fusion net: nine probabilities and clinical variables → six lesion types, in four variants.

As in Ding et al., J Hepatol 2025;83:426: D disease, B biomarker, C clinical inputs.
"""

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

# The inputs of each variant: disease, clinical, biomarker.
VARIANT_INPUTS: Mapping[str, str] = {"fusion/D": "D", "fusion/DC": "DC", "fusion/DB": "DB", "fusion/DCB": "DCB"}
LOGIT_BOUND = 6.0
"""Logits of the sub-models are clipped to ± this, a probability of 0.9975."""
LOGIT_UNIT = 2.0
"""Logits are divided by this, so that their scale is that of the standardised clinical variables."""


class FusionMLP(nn.Module):
    """One hidden layer or none; deterministic (no dropout): (b inputs) → logits (b 6)."""

    def __init__(self, inputs: int, hidden: int) -> None:
        """Build the layers: `inputs` from `count_inputs`, `hidden` units in the hidden layer, 0 for a linear net."""
        super().__init__()
        self.hidden = nn.Linear(inputs, hidden) if hidden else None
        self.out = nn.Linear(hidden or inputs, len(LESION_TYPES))

    def forward(self, x: Tensor) -> Tensor:
        """Logits (b 6) in the order of LESION_TYPES from inputs (b inputs)."""
        logits: Tensor = self.out(x if self.hidden is None else nnf.relu(self.hidden(x)))
        return logits


def count_inputs(net: str, recipe: Recipe) -> int:
    """Number of inputs of a fusion net.

    Raises:
        KeyError: the name is not a fusion net's.
    """
    sizes = {"D": len(DISEASE_TYPES), "B": len(BIOMARKERS), "C": 2 * len(recipe.selected)}
    return sum(sizes[part] for part in VARIANT_INPUTS[net])


def build_fusion_inputs(
    net: str, probabilities: npt.NDArray[np.float32], samples: Sequence[Sample], recipe: Recipe
) -> Tensor:
    """Inputs (b inputs), float32, of some lesions for one fusion net.

    Clinical variables are standardised with the global moments, 0 where not recorded; a flag per variable follows, 1
    where not recorded.

    Args:
        net: name of the fusion net.
        probabilities: (b 9) in the order of SUBMODELS.
        samples: the lesions (b).
        recipe: of the study.

    Raises:
        ValueError: the shape of `probabilities` is another one.
    """
    if probabilities.shape != (len(samples), len(SUBMODELS)):
        raise ValueError(f"expected probabilities {(len(samples), len(SUBMODELS))}, found {probabilities.shape}")
    p = np.clip(probabilities.astype(np.float64), 1e-9, 1 - 1e-9)
    logits = np.clip(np.log(p) - np.log1p(-p), -LOGIT_BOUND, LOGIT_BOUND) / LOGIT_UNIT
    parts = {
        "D": logits[:, : len(DISEASE_TYPES)],
        "B": logits[:, len(DISEASE_TYPES) :],
        "C": _encode_clinical(samples, recipe),
    }
    return torch.from_numpy(np.concatenate([parts[part] for part in VARIANT_INPUTS[net]], axis=1).astype(np.float32))


def _encode_clinical(samples: Sequence[Sample], recipe: Recipe) -> npt.NDArray[np.float64]:
    places = [CLINICAL_NAMES.index(name) for name in recipe.selected]
    mean = np.array(recipe.normaliser.clinical_mean)[places]
    sd = np.array(recipe.normaliser.clinical_sd)[places]
    values = np.stack([sample.clinical for sample in samples]).astype(np.float64)[:, places]
    missing = np.isnan(values)
    standard = (values - mean) / np.where(sd > 0, sd, 1.0)
    return np.concatenate([np.where(missing, 0.0, standard), missing.astype(np.float64)], axis=1)
