"""Statistics of a site's lesions as sums, from which class weights, moments and correlations are finished."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ceus_models.sample import Sample
from ceus_models.taxonomy import LESION_TYPES

Floats = npt.NDArray[np.float64]


def tally_of(samples: Sequence[Sample]) -> dict[str, Tensor]:
    """Sums of the lesions of one cohort.

    types i64 (6) · patients i64 () · biomarkers i64 (4 2) [negative, positive] · any_biomarker i64 () · clinical f64
    (17 3) [n, Σx, Σx²] · clinical_by_type f64 (17 6 2) [n, Σx] · levels f64 (3) [lesions, Σ mean, Σ mean square],
    levels in 0-1 · flow f64 (3) likewise, u and v in px.
    """
    markers = np.stack([s.biomarkers for s in samples])  # (n 4)
    types = np.array([[s.label == name for name in LESION_TYPES] for s in samples], dtype=np.float64)  # (n 6)
    return {
        "types": torch.from_numpy(types.sum(axis=0).astype(np.int64)),
        "patients": patients_of(samples),
        "biomarkers": torch.from_numpy(np.stack([(markers == 0).sum(0), (markers == 1).sum(0)], axis=1)),
        "any_biomarker": torch.tensor(int((~np.isnan(markers)).any(axis=1).sum())),
        **_clinical(np.stack([s.clinical for s in samples]).astype(np.float64), types),
        "levels": _moments([s.frames.astype(np.float64) / 255 for s in samples]),
        "flow": _moments([s.flow.astype(np.float64) * s.flow_scale for s in samples]),
    }


def patients_of(samples: Sequence[Sample]) -> Tensor:
    """How many patients the lesions belong to, i64 ()."""
    return torch.tensor(len({sample.patient for sample in samples}))


def _clinical(values: Floats, types: Floats) -> dict[str, Tensor]:
    """values (n 17) with NaN where not recorded · types (n 6), one-hot."""
    known = ~np.isnan(values)
    x, there = np.where(known, values, 0.0), known.astype(np.float64)
    return {
        "clinical": torch.from_numpy(np.stack([there.sum(0), x.sum(0), (x * x).sum(0)], axis=1)),
        "clinical_by_type": torch.from_numpy(np.stack([there.T @ types, x.T @ types], axis=2)),
    }


def _moments(values: Sequence[Floats]) -> Tensor:
    means = [(float(v.mean()), float(np.square(v).mean())) for v in values]
    return torch.tensor([len(means), *np.sum(means, axis=0)], dtype=torch.float64)
