"""Plausibility checks of evaluation counts: bounds by the lesions declared in hello, and parts that must add up."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch

from ceus_models.metrics.score_bins import SUM_UNIT
from ceus_models.protocol.messages import Task
from ceus_models.protocol.state import State
from ceus_models.study.reader_study import READERS
from ceus_models.study.subgroups import SUBGROUPS, build_slices
from ceus_models.study.taxonomy import select_classifiers

LARGEST_DRAW = 20
"""Bound on a Poisson(1) weight: one lesion in 1e19 draws more."""
LARGEST_LOSS = 1e4
"""Bound on the loss of one lesion, class weight included."""
MOST_READERS = 100
"""Of one role at one site."""


def find_count_fault(sums: State, held: Mapping[str, int], task: Task, sites: int = 1) -> str | None:
    """Find the first implausible count of an evaluation: the error as text, or None.

    held: lesions by cohort · sites: whose counts these are the sum of.
    """
    return next(_list_faults(sums, held, task, sites), None)


def _list_faults(sums: State, held: Mapping[str, int], task: Task, sites: int) -> Iterator[str]:
    classifiers = select_classifiers(task.nets) if task.replicates else ()
    for cohort in task.cohorts:
        lesions = held.get(cohort, 0)
        for net in dict.fromkeys((*task.nets, *classifiers)):
            prefix = f"{cohort}|{net}|"
            if f"{prefix}confusion" in sums:
                yield from _check_net(sums, prefix, lesions)
                yield from _check_calibration(sums, prefix)
                yield from _check_groups(sums, prefix, sites) if net in classifiers else ()
        if f"{cohort}|pairs|right" in sums:
            yield from _check_pairs(sums[f"{cohort}|pairs|right"], f"{cohort}|pairs|right", lesions)
        if f"{cohort}|readers|right" in sums:
            yield from _check_readers(sums, f"{cohort}|readers|", lesions)


def _check_net(sums: State, prefix: str, lesions: int) -> Iterator[str]:
    confusion, scores, fine = (sums[prefix + name].long() for name in ("confusion", "scores", "fine"))
    if min(int(confusion.min()), int(scores.min()), int(fine.min())) < 0:
        yield f"{prefix}… must hold counts of at least 0, found negative ones"
    rows = confusion.sum((1, 2))
    if int(rows[0]) > lesions or int(rows.max()) > LARGEST_DRAW * lesions:
        yield f"{prefix}confusion must count at most {lesions} lesions (as in hello), found {int(rows[0])}"
    same = (scores.sum((2, 3)) == rows[:, None]).all() and (fine.sum((1, 2)) == rows[0]).all()
    if not bool(same):
        yield f"{prefix}… counts other lesions in its scores than in its confusion matrix"
    loss, weight = sums[prefix + "loss"].tolist()
    if not (0 <= weight <= LARGEST_LOSS * lesions and 0 <= loss <= LARGEST_LOSS * max(weight, 1.0)):
        yield f"{prefix}loss is {loss:g} over weight {weight:g}"


def _check_calibration(sums: State, prefix: str) -> Iterator[str]:
    rows = sums[prefix + "confusion"].long().sum((1, 2))
    n, p, right = sums[prefix + "calibration"].unbind(-1)
    most = n.double() / SUM_UNIT  # floats: a lie may be of any size
    inside = bool(((n >= 0) & (p >= 0) & (right >= 0) & (p <= most) & (right <= n)).all())
    if not inside or not bool((n.sum(-1) == rows[0]).all()):
        yield f"{prefix}calibration does not count the lesions of its confusion matrix"
    brier = sums[prefix + "brier"].double() * SUM_UNIT
    if not bool(((brier >= 0) & (brier <= 2.0 * rows)).all()):
        yield f"{prefix}brier reaches {float(brier.max()):g}, at most 2 a lesion are possible"


def _check_groups(sums: State, prefix: str, sites: int) -> Iterator[str]:
    confusion = sums[prefix + "confusion"].long()
    total = torch.stack([confusion.sum((1, 2)), confusion.diagonal(dim1=1, dim2=2).sum(1)], dim=1)  # (1+R 2)
    groups = sums[prefix + "groups"].long()
    inside = bool((groups >= 0).all()) and bool((groups[..., 1] <= groups[..., 0]).all())
    if not inside or any(bool((groups[:, span].sum(1) > total).any()) for span in build_slices().values()):
        yield f"{prefix}groups counts other lesions than its confusion matrix"
    withheld, own = sums[prefix + "withheld"], sums.get(prefix + "own", torch.zeros(2))
    most = torch.tensor([sites * len(values) for values in SUBGROUPS.values()])
    if not bool(((withheld >= 0) & (withheld <= most)).all()):
        yield f"{prefix}withheld names more values than a variable has"
    if own.tolist() not in ([0, 0], total[0].tolist()):
        yield f"{prefix}own is {own.tolist()}, its confusion matrix says {total[0].tolist()}"


def _check_pairs(right: torch.Tensor, name: str, lesions: int) -> Iterator[str]:
    same = bool((right == right.permute(1, 0, 3, 2)).all())
    if int(right.min()) < 0 or int(right.sum((2, 3)).max()) > lesions or not same:
        yield f"{name} does not compare at most {lesions} lesions, alike from both sides"


def _check_readers(sums: State, prefix: str, lesions: int) -> Iterator[str]:
    right, confusion = sums[prefix + "right"].long(), sums[prefix + "confusion"]
    counted = torch.stack([confusion.sum((2, 3)), confusion.diagonal(dim1=2, dim2=3).sum(2)], dim=2)
    bound = torch.full((right.shape[1],), lesions * MOST_READERS)
    bound[: len(READERS)] = lesions
    if min(int(right.min()), int(confusion.min())) < 0 or not bool((right[0] == counted).all()):
        yield f"{prefix}right counts other reads than its confusion matrices"
    above = (right[..., 1] > right[..., 0]).any() or (right[0, ..., 0] > bound[:, None]).any()
    if bool(above) or bool((right[..., 0] > LARGEST_DRAW * bound[:, None]).any()):
        yield f"{prefix}right counts more reads than {lesions} lesions can have"
    reads = right[0, : len(READERS), :, 0]  # (readers 2)
    both, model = sums[prefix + "assistance"], sums[prefix + "model"]
    negative = min(int(both.min()), int(model.min())) < 0
    if negative or bool((both.sum((1, 2)) > reads.min(1).values).any()) or bool((model.sum((3, 4)) > reads).any()):
        yield f"{prefix}… compares more lesions than were read"
