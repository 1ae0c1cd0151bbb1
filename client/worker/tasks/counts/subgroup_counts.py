"""A classifier's accuracy by subgroup, as sums; small groups are left out, and that some were is said."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ceus_models.study.sample import Sample
from ceus_models.study.subgroups import CELLS, build_slices, list_cells
from ceus_models.study.suppression import find_hidden_values, find_small_groups, is_enough
from ceus_models.study.taxonomy import LESION_TYPES
from client.worker.tasks.counts.paired_counts import Verdicts


def count_members(cases: Sequence[Sample]) -> npt.NDArray[np.int64]:
    """(n cells) 1 where a lesion belongs to one of `subgroups.CELLS`."""
    member = np.zeros((len(cases), len(CELLS)), np.int64)
    np.put_along_axis(member, np.array([list_cells(sample) for sample in cases]), 1, axis=1)
    return member


def count_values(cases: Sequence[Sample], cell: int) -> Tensor:
    """i64 (cells): lesions of each of `subgroups.CELLS`, 0 where they are held back."""
    lesions = count_members(cases).sum(axis=0)
    return torch.from_numpy(np.where(find_hidden_values(lesions, list(build_slices().values()), cell), 0, lesions))


def count_mix(cases: Sequence[Sample], cell: int) -> Tensor:
    """i64 (cells types): lesions of each of `subgroups.CELLS` by type.

    Both margins are shown elsewhere, so one value that is held back would follow from the others: the table of a
    variable is shown where it has no count below the minimum cell and none of its values is hidden, or not at all.
    """
    member, spans = count_members(cases), list(build_slices().values())
    types = np.array([[sample.label == kind for kind in LESION_TYPES] for sample in cases], np.int64)
    mix = member.T @ types.reshape(len(cases), len(LESION_TYPES))
    hidden = find_hidden_values(member.sum(axis=0), spans, cell)
    for span in spans:
        if hidden[span].any() or bool(((mix[span] > 0) & (mix[span] < cell)).any()):
            mix[span] = 0
    return torch.from_numpy(mix)


def subgroup_counts(cases: Sequence[Sample], verdicts: Verdicts, cell: int) -> dict[str, Tensor]:
    """Of one classifier on one cohort.

    groups i64 (cells 2) [lesions, right] · withheld i64 (variables): 1 where some values of the variable are left out ·
    own i64 (2) [lesions, right] of this site, which may be shown under its name; 0 below `cell`.

    What `count_values` holds back is held back here too, or one would reveal the other. A classifier that was not asked
    about all lesions has no groups: beside those of one that was, they would single out the rest.
    """
    spans = build_slices()
    member = count_members(cases)
    hidden = find_hidden_values(member.sum(axis=0), list(spans.values()), cell)
    whole = len(verdicts.rows) == len(cases) or cell <= 1
    member = member[verdicts.rows]
    right = (member * verdicts.right[:, None]).sum(axis=0)
    lesions = member.sum(axis=0)
    withheld = np.zeros(len(spans), np.int64)
    for number, span in enumerate(spans.values()):
        counts = np.stack([lesions - right, right], axis=1)[span]
        few = find_small_groups(counts, cell, True, hidden[span]) if whole else lesions[span] > 0
        hidden[span] = few
        withheld[number] = few.any()
    own = verdicts.count()
    return {
        "groups": torch.from_numpy(np.where(hidden[:, None], 0, np.stack([lesions, right], axis=1))),
        "withheld": torch.from_numpy(withheld),
        "own": torch.tensor([int(own.sum()), int(own[1])] if is_enough(own, cell) else [0, 0]),
    }
