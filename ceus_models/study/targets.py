"""The target class of a lesion for each net."""

from __future__ import annotations

import numpy as np

from ceus_models.study.sample import Sample
from ceus_models.study.taxonomy import (
    BIOMARKER_NETS,
    DISEASE_NETS,
    DISEASE_TYPES,
    FUSION_NETS,
    LESION_TYPES,
    STRATEGY_A,
)


def find_target(net: str, sample: Sample) -> int | None:
    """The target class of a lesion for a net, None without a label or test result, or for a type that it lacks."""
    if net in BIOMARKER_NETS:
        value = float(sample.biomarkers[BIOMARKER_NETS.index(net)])
        return None if np.isnan(value) else int(value)
    if net in FUSION_NETS:
        return LESION_TYPES.index(sample.label) if sample.label in LESION_TYPES else None
    if sample.label not in DISEASE_TYPES:
        return None
    index = DISEASE_TYPES.index(sample.label)
    return index if net == STRATEGY_A else int(DISEASE_NETS.index(net) == index)
