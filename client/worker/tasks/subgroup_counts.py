"""A classifier's accuracy by subgroup, as sums; small groups are left out, and how many is said."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ceus_models.study.sample import Sample
from ceus_models.study.subgroups import CELLS, SUBGROUPS, build_slices, find_small_cells, list_cells
from client.worker.tasks.paired_counts import Verdicts


def subgroup_counts(
    cases: Sequence[Sample], verdicts: Verdicts, draws: npt.NDArray[np.int32], cell: int
) -> dict[str, Tensor]:
    """Of one classifier on one cohort. draws (n 1+R): how often each lesion counts in the estimate and the replicates.

    groups i32 (1+R cells 2) [lesions, right] · withheld i64 (variables): values of each variable that are left out ·
    own i64 (2) [lesions, right] of this site, which may be shown under its name; 0 below `cell`.
    """
    places = np.array([list_cells(cases[i]) for i in verdicts.rows])  # (m variables)
    member = np.zeros((len(places), len(CELLS)), np.int32)
    np.put_along_axis(member, places, 1, axis=1)
    withheld = np.zeros(len(SUBGROUPS), np.int64)
    for number, span in enumerate(build_slices().values()):
        few = find_small_cells(member[:, span].sum(axis=0), cell)
        member[:, span] *= ~few
        withheld[number] = few.sum()
    weights = draws[verdicts.rows].T  # (1+R m)
    lesions, right = weights @ member, weights @ (member * verdicts.right[:, None])
    own = [len(places), int(verdicts.right.sum())] if len(places) >= cell else [0, 0]
    return {
        "groups": torch.from_numpy(np.stack([lesions, right], axis=2).astype(np.int32)),
        "withheld": torch.from_numpy(withheld),
        "own": torch.tensor(own),
    }
