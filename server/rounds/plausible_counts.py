"""Plausibility checks of evaluation counts: bounds by the lesions declared in hello, and parts that must add up."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch

from ceus_models.metrics.evaluation_release import NOISED_LEVELS, list_pairs
from ceus_models.protocol.messages import Task
from ceus_models.protocol.state import State
from ceus_models.study.reader_study import READ_PAIRS, READERS
from ceus_models.study.subgroups import build_slices
from ceus_models.study.taxonomy import select_classifiers

LARGEST_DRAW = 20
"""Bound on a Poisson(1) weight: one lesion in 1e19 draws more."""
MOST_READERS = 100
"""Of one role at one site, without a code of their own."""
LARGEST_LOG_SECONDS = 12.0
"""Bound on the logarithm of the seconds of a reading: two days are less."""
LARGEST_LOSS = 1e4
"""Bound on the loss of one lesion in training, class weight included."""


def find_note_fault(sums: State, net: str, lesions: int) -> str | None:
    """Find the first implausible number beside a net's change. lesions: as declared in hello."""
    weight, loss = float(sums[f"{net}|#weight"]), sums[f"{net}|#loss"]
    labelled = sums.get(f"{net}|#labelled", torch.zeros(()))
    if not 0 < weight <= lesions:
        return f"weight of {net} must be above 0 and at most {lesions} (lesions in hello), found {weight:g}"
    low, high = float(loss.min()), float(loss.max())
    if not (low >= 0 and high <= LARGEST_LOSS * weight):
        found = f"{low if low < 0 else high:g}"
        return f"loss of {net} must be 0 to {LARGEST_LOSS * weight:g} over {weight:g} lesions, found {found}"
    if float(labelled.min()) < 0 or float(labelled.max()) > weight:
        return f"{net} must have 0 to {weight:g} lesions with a result in each head, found {labelled.tolist()}"
    return None


def find_count_fault(sums: State, held: Mapping[str, int], task: Task, sites: int = 1) -> str | None:
    """Find the first implausible count of an evaluation: the error as text, or None.

    Noised counts have no bound but their noise's, and are not checked.

    held: lesions by cohort · sites: whose counts these are the sum of.
    """
    return None if task.level in NOISED_LEVELS else next(_list_faults(sums, held, task, sites), None)


def _list_faults(sums: State, held: Mapping[str, int], task: Task, sites: int) -> Iterator[str]:
    classifiers = select_classifiers(task.nets) if task.comparisons else ()
    for cohort in task.cohorts:
        lesions = held.get(cohort, 0)
        for net in dict.fromkeys((*task.nets, *classifiers)):
            prefix = f"{cohort}|{net}|"
            if f"{prefix}confusion" in sums:
                yield from _check_net(sums, prefix, lesions)
                yield from _check_groups(sums, prefix, sites) if net in classifiers else ()
        if f"{cohort}|pairs|right" in sums:
            yield from _check_pairs(sums, cohort, classifiers)
        if f"{cohort}|groups" in sums:
            yield from _check_values(sums[f"{cohort}|groups"], f"{cohort}|groups", lesions)
            yield from _check_mix(sums, cohort)
        if f"{cohort}|readers|confusion" in sums:
            yield from _check_readers(sums, f"{cohort}|readers|", lesions)


def _check_net(sums: State, prefix: str, lesions: int) -> Iterator[str]:
    confusion, scores = sums[prefix + "confusion"], sums[prefix + "scores"]
    drawn = sums.get(prefix + "replicates", confusion[None])
    if min(int(confusion.min()), int(scores.min()), int(drawn.min())) < 0:
        yield f"{prefix}… must hold counts of at least 0, found negative ones"
    rows = int(confusion.sum())
    if rows > lesions or int(drawn.sum((1, 2)).max()) > LARGEST_DRAW * lesions:
        yield f"{prefix}confusion must count at most {lesions} lesions (as in hello), found {rows}"
    by_class = confusion.sum(1)
    sides = torch.stack([rows - by_class, by_class], dim=1) if len(scores) > 1 else by_class[None]
    if not torch.equal(scores.sum(2), sides):
        yield f"{prefix}… counts other lesions in its scores than in its confusion matrix"


def _check_groups(sums: State, prefix: str, sites: int) -> Iterator[str]:
    confusion = sums[prefix + "confusion"]
    total = torch.stack([confusion.sum(), confusion.trace()])
    groups = sums[prefix + "groups"]
    inside = bool((groups >= 0).all()) and bool((groups[:, 1] <= groups[:, 0]).all())
    if not inside or any(bool((groups[span].sum(0) > total).any()) for span in build_slices().values()):
        yield f"{prefix}groups counts other lesions than its confusion matrix"
    withheld, own = sums[prefix + "withheld"], sums.get(prefix + "own", torch.zeros(2))
    if not bool(((withheld >= 0) & (withheld <= sites)).all()):
        yield f"{prefix}withheld must be 0 to {sites} for a variable, one a site"
    if own.tolist() not in ([0, 0], total.tolist()):
        yield f"{prefix}own is {own.tolist()}, its confusion matrix says {total.tolist()}"


def _check_values(values: torch.Tensor, name: str, lesions: int) -> Iterator[str]:
    if int(values.min()) < 0 or any(int(values[span].sum()) > lesions for span in build_slices().values()):
        yield f"{name} must count at most {lesions} lesions (as in hello) of each variable"


def _check_mix(sums: State, cohort: str) -> Iterator[str]:
    mix, values = sums[f"{cohort}|mix"], sums[f"{cohort}|groups"]
    if int(mix.min()) < 0 or bool((mix.sum(1) > values).any()):
        yield f"{cohort}|mix counts lesions that {cohort}|groups does not"


def _check_pairs(sums: State, cohort: str, classifiers: tuple[str, ...]) -> Iterator[str]:
    """A pair's lesions that the first, or the second, was right or wrong on are among those of its confusion matrix."""
    for place, nets in enumerate(list_pairs(classifiers)):
        pair = sums[f"{cohort}|pairs|right"][place]
        for net, side in zip(nets, (pair.sum(1), pair.sum(0)), strict=True):
            confusion = sums.get(f"{cohort}|{net}|confusion", torch.zeros(1, 1, dtype=torch.int64))
            right = int(confusion.trace())
            if int(pair.min()) < 0 or int(side[1]) > right or int(side[0]) > int(confusion.sum()) - right:
                yield f"{cohort}|pairs|right compares lesions that the confusion matrix of {net} does not count"


def _check_readers(sums: State, prefix: str, lesions: int) -> Iterator[str]:
    confusion, pairs, model = (sums[prefix + name] for name in ("confusion", "pairs", "model"))
    reads = confusion.sum((2, 3))  # (entries 2)
    bound = torch.full((len(reads), 1), lesions * MOST_READERS)
    bound[: len(READERS)] = lesions
    if int(confusion.min()) < 0 or bool((reads > bound).any()):
        yield f"{prefix}confusion counts more reads than {lesions} lesions can have"
    own = reads[: len(READERS)]
    fewer = torch.tensor([min(int(own[one]), int(own[other])) for one, other in READ_PAIRS])
    negative = min(int(pairs.min()), int(model.min())) < 0
    if negative or bool((pairs.sum((1, 2)) > fewer).any()) or bool((model.sum((3, 4)) > own).any()):
        yield f"{prefix}… compares more lesions than were read"
    yield from _check_effort(sums, prefix, confusion[: len(READERS)])


def _check_effort(sums: State, prefix: str, confusion: torch.Tensor) -> Iterator[str]:
    """confusion (readers 2 6 6): of the readers with a code."""
    reads = confusion.sum((2, 3))
    right = confusion.diagonal(dim1=2, dim2=3).sum(2)
    confidence, seconds, change = (sums[prefix + name] for name in ("confidence", "seconds", "seconds_change"))
    said = confidence.sum(2)  # (readers 2 2)
    if int(confidence.min()) < 0 or bool((said > torch.stack([reads - right, right], dim=2)).any()):
        yield f"{prefix}confidence counts other reads than the confusion matrix"
    for name, moments, most in (("seconds", seconds, reads), ("seconds_change", change, reads.min(1).values)):
        counts, sizes = moments[..., 0], moments[..., 1:].abs().amax(-1)
        if bool(((counts < 0) | (counts > most)).any()) or bool((sizes > LARGEST_LOG_SECONDS**2 * counts).any()):
            yield f"{prefix}{name} counts more reads, or longer ones, than there can be"
