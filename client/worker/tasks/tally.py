"""Statistics of a site's lesions as sums, from which class weights, moments and correlations are finished."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ceus_models.metrics.ood import REQUEST_TENSOR, sum_figures
from ceus_models.study.sample import Sample
from ceus_models.study.subgroups import CELLS, list_cells
from ceus_models.study.taxonomy import CLINICAL, LESION_TYPES

Floats = npt.NDArray[np.float64]
_BINARY = np.array([variable.kind == "binary" for variable in CLINICAL])


def tally_of(samples: Sequence[Sample], cell: int = 1, figures: bool = True) -> dict[str, Tensor]:
    """Sums of the lesions of one cohort. Counts below `cell` are 0, and so are the sums that belong to them.

    types i64 (6) · patients i64 () · biomarkers i64 (4 2) [negative, positive] · any_biomarker i64 () · clinical f64
    (17 3) [n, Σx, Σx²] · clinical_by_type f64 (17 6 2) [n, Σx] · levels f64 (3) [lesions, Σ mean, Σ mean square],
    levels in 0-1 · flow f64 (3) likewise, u and v in px · groups i64 (cells): lesions of each of `subgroups.CELLS` ·
    figures f64 (k 3): see ceus_models.metrics.ood, where asked for.
    """
    member = np.zeros(len(CELLS), np.int64)
    np.add.at(member, [place for sample in samples for place in list_cells(sample)], 1)
    markers = np.stack([s.biomarkers for s in samples])  # (n 4)
    types = np.array([[s.label == name for name in LESION_TYPES] for s in samples], dtype=np.float64)  # (n 6)
    asked = {REQUEST_TENSOR: torch.from_numpy(sum_figures(samples, cell))} if figures else {}
    return {
        "types": torch.from_numpy(_cells(types.sum(axis=0).astype(np.int64), cell)),
        "patients": patients_of(samples),
        "biomarkers": torch.from_numpy(_cells(np.stack([(markers == 0).sum(0), (markers == 1).sum(0)], axis=1), cell)),
        "any_biomarker": torch.from_numpy(_cells((~np.isnan(markers)).any(axis=1).sum(), cell)),
        **_clinical(np.stack([s.clinical for s in samples]).astype(np.float64), types, cell),
        "levels": _moments([s.frames.astype(np.float64) / 255 for s in samples]),
        "flow": _moments([s.flow.astype(np.float64) * s.flow_scale for s in samples]),
        "groups": torch.from_numpy(_cells(member, cell)),
        **asked,
    }


def patients_of(samples: Sequence[Sample]) -> Tensor:
    """How many patients the lesions belong to, i64 ()."""
    return torch.tensor(len({sample.patient for sample in samples}))


def _cells(counts: npt.NDArray[np.int64], cell: int) -> npt.NDArray[np.int64]:
    """The counts without those below `cell`."""
    return np.where(counts < cell, 0, counts)


def _clinical(values: Floats, types: Floats, cell: int) -> dict[str, Tensor]:
    """values (n 17) with NaN where not recorded · types (n 6), one-hot."""
    known = ~np.isnan(values)
    x, there = np.where(known, values, 0.0), known.astype(np.float64)
    whole = np.stack([there.sum(0), x.sum(0), (x * x).sum(0)], axis=1)  # (17 3)
    by_type = np.stack([there.T @ types, x.T @ types], axis=2)  # (17 6 2)
    return {
        "clinical": torch.from_numpy(np.where(_small(whole, _BINARY, cell)[..., None], 0.0, whole)),
        "clinical_by_type": torch.from_numpy(
            np.where(_small(by_type, _BINARY[:, None], cell)[..., None], 0.0, by_type)
        ),
    }


def _small(moments: Floats, binary: npt.NDArray[np.bool_], cell: int) -> npt.NDArray[np.bool_]:
    """Which of (… k), [n, Σx, …], speak of fewer lesions than `cell`: all of them, or those that answer yes, or no."""
    lesions, yes = moments[..., 0], moments[..., 1]
    few_yes, few_no = (yes > 0) & (yes < cell), (yes < lesions) & (lesions - yes < cell)
    small: npt.NDArray[np.bool_] = (lesions < cell) | (binary & (few_yes | few_no))
    return small


def _moments(values: Sequence[Floats]) -> Tensor:
    means = [(float(v.mean()), float(np.square(v).mean())) for v in values]
    return torch.tensor([len(means), *np.sum(means, axis=0)], dtype=torch.float64)
