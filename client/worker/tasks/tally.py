"""Statistics of a site's lesions as sums, from which class weights, moments and correlations are finished."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ceus_models.metrics.ood import REQUEST_TENSOR, sum_figures
from ceus_models.study.sample import Sample
from ceus_models.study.suppression import find_small_groups
from ceus_models.study.taxonomy import CLINICAL, LESION_TYPES
from client.worker.tasks.counts.population import select_population
from client.worker.tasks.counts.subgroup_counts import count_values

Floats = npt.NDArray[np.float64]
_BINARY = np.array([variable.kind == "binary" for variable in CLINICAL])


def tally_of(samples: Sequence[Sample], cell: int = 1, figures: bool = True) -> dict[str, Tensor]:
    """Sums of the lesions of one cohort. Counts below `cell` are 0, and so are the sums that belong to them, with as
    many others as it takes that nothing smaller is left between a total and what is shown of it.

    types i64 (6) · patients i64 () · biomarkers i64 (4 2) [negative, positive] · any_biomarker i64 () · clinical f64
    (v 3) [n, Σx, Σx²] · clinical_by_type f64 (v 6 2) [n, Σx] · levels f64 (3) [lesions, Σ mean, Σ mean square],
    levels in 0-1 · flow f64 (3) likewise, u and v in px · groups i64 (cells): lesions of each of `subgroups.CELLS` ·
    figures f64 (k 3): see ceus_models.metrics.ood, where asked for. All but patients: of the lesions of shown types.
    """
    shown = select_population(samples, cell)
    if not shown:
        return {name: torch.zeros_like(t) for name, t in tally_of(samples, 1, figures).items()} | {
            "patients": patients_of(samples)
        }
    markers = np.stack([s.biomarkers for s in shown]).astype(np.float64)  # (n 4)
    types = np.array([[s.label == name for name in LESION_TYPES] for s in shown], dtype=np.float64)  # (n 6)
    asked = {REQUEST_TENSOR: torch.from_numpy(sum_figures(shown, cell))} if figures else {}
    return {
        "types": torch.from_numpy(types.sum(axis=0).astype(np.int64)),
        "patients": patients_of(samples),
        **_count_markers(markers, cell),
        **_clinical(np.stack([s.clinical for s in shown]).astype(np.float64), types, cell),
        "levels": _moments([s.frames.astype(np.float64) / 255 for s in shown]),
        "flow": _moments([s.flow.astype(np.float64) * s.flow_scale for s in shown]),
        "groups": count_values(shown, cell),
        **asked,
    }


def patients_of(samples: Sequence[Sample]) -> Tensor:
    """How many patients the lesions belong to, i64 ()."""
    return torch.tensor(len({sample.patient for sample in samples}))


def _count_markers(markers: Floats, cell: int) -> dict[str, Tensor]:
    """markers (n 4), NaN where not tested; a marker with few positive or few negative lesions is left out whole."""
    counts = np.stack([(markers == 0).sum(0), (markers == 1).sum(0)], axis=1)
    small = _are_any_few(counts, cell)
    tested = int((~np.isnan(markers)).any(axis=1).sum())
    return {
        "biomarkers": torch.from_numpy(np.where(small[:, None], 0, counts)),
        "any_biomarker": torch.tensor(tested if tested >= cell else 0),
    }


def _clinical(values: Floats, types: Floats, cell: int) -> dict[str, Tensor]:
    """values (n v) with NaN where not recorded · types (n 6), one-hot."""
    known = ~np.isnan(values)
    x, there = np.where(known, values, 0.0), known.astype(np.float64)
    whole = np.stack([there.sum(0), x.sum(0), (x * x).sum(0)], axis=1)  # (v 3)
    by_type = np.stack([there.T @ types, x.T @ types], axis=2)  # (v 6 2)
    # a number speaks of all lesions that have it; a yes or no of those that say yes, and of those that say no
    whole_counts, counts = _count_answers(whole), _count_answers(by_type)
    whole_small = _are_any_few(whole_counts, cell)
    small = np.stack([find_small_groups(one, cell) for one in counts])
    return {
        "clinical": torch.from_numpy(np.where(whole_small[:, None], 0.0, whole)),
        "clinical_by_type": torch.from_numpy(np.where(small[..., None], 0.0, by_type)),
    }


def _are_any_few(counts: npt.NDArray[np.int64], cell: int) -> npt.NDArray[np.bool_]:
    return np.asarray(((counts > 0) & (counts < cell)).any(axis=1))


def _count_answers(moments: Floats) -> npt.NDArray[np.int64]:
    """Lesions (v … 2) that say yes and no of each variable (v …), [n, Σx, …]; of a number, its lesions and none."""
    binary = _BINARY.reshape(-1, *[1] * (moments.ndim - 2))
    lesions, yes = moments[..., 0], np.where(binary, moments[..., 1], 0.0)
    return np.asarray(np.stack([yes, lesions - yes], axis=-1), dtype=np.int64)


def _moments(values: Sequence[Floats]) -> Tensor:
    means = [(float(v.mean()), float(np.square(v).mean())) for v in values]
    return torch.tensor([len(means), *np.sum(means, axis=0)], dtype=torch.float64)
