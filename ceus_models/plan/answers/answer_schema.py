"""The schema of an answer: names, shapes and dtypes of its tensors, by kind of task.

Tensors come in groups: a net, a cohort, or a net on a cohort. A group is complete or absent; a site without lesions
for it leaves it out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import torch

from ceus_models.metrics.evaluation_release import NOISED_LEVELS, list_tables
from ceus_models.metrics.ood import FIGURES, REQUEST_TENSOR
from ceus_models.nets.heads import list_outputs
from ceus_models.nets.trained_parameters import list_trained
from ceus_models.plan.answers.change_grid import CHANGE, SIZES, read_grid
from ceus_models.protocol.messages import Kind, LocalRule, Task
from ceus_models.protocol.privacy.masks import KEY_BYTES
from ceus_models.protocol.privacy.secure_levels import SECURE_LEVELS
from ceus_models.protocol.privacy.secure_session import SUMS_KEY
from ceus_models.protocol.quantisation import count_packed, get_packed_dtype
from ceus_models.protocol.state import State, select_net
from ceus_models.study.reader_study import CONFIDENCE, ENTRIES, READ_PAIRS, READERS
from ceus_models.study.subgroups import CELLS, SUBGROUPS
from ceus_models.study.taxonomy import BIOMARKERS, CLINICAL, LESION_TYPES, select_classifiers


@dataclass(frozen=True)
class Spec:
    """Shape and dtype of one tensor."""

    shape: tuple[int, ...]
    dtype: torch.dtype

    def __str__(self) -> str:
        """As in an error message."""
        return f"{self.shape} {str(self.dtype).removeprefix('torch.')}"


Group = Mapping[str, Spec]

_COUNT = Spec((), torch.int64)
_SUM = Spec((), torch.float64)
_KEY = Spec((KEY_BYTES,), torch.uint8)
_TALLY = {
    "types": Spec((len(LESION_TYPES),), torch.int64),
    "patients": _COUNT,
    "biomarkers": Spec((len(BIOMARKERS), 2), torch.int64),
    "any_biomarker": _COUNT,
    "clinical": Spec((len(CLINICAL), 3), torch.float64),
    "clinical_by_type": Spec((len(CLINICAL), len(LESION_TYPES), 2), torch.float64),
    "levels": Spec((3,), torch.float64),
    "flow": Spec((3,), torch.float64),
    "groups": Spec((len(CELLS),), torch.int64),
}
_FIGURES = Spec((len(FIGURES), 3), torch.float64)


def groups_of(task: Task) -> Mapping[str, Group]:
    """List the groups that an answer to `task` may hold: group → name of tensor → spec."""
    return GROUPS[task.kind](task)


def find_shape_fault(sums: State, groups: Mapping[str, Group]) -> str | None:
    """Find the first tensor with a wrong name, shape or dtype: the error as text, or None."""
    known = {name: group for group, specs in groups.items() for name in specs}
    odd = sorted(sums.keys() - known.keys())
    if odd:
        return f"only tensors of the task are allowed, found {odd[0]} ({len(odd)} such tensors)"
    for group in sorted({known[name] for name in sums}):
        for name, spec in groups[group].items():
            if name not in sums:
                return f"all tensors of {group} must be present, {name} is missing"
            found = sums[name]
            if found.shape != spec.shape or found.dtype != spec.dtype:
                return f"{name} must be {spec}, found {Spec(tuple(found.shape), found.dtype)}"
    return None


def _change(net: str, task: Task) -> Group:
    """The parameters that change; a private sum says neither its weight, which is public, nor its loss."""
    if task.changes:
        return _quantised_change(net, task)
    start, rule = select_net(task.inputs, net), task.rule or LocalRule()
    changed = {
        f"{net}|{name}": Spec(tuple(start[name].shape), torch.float32) for name in list_trained(start, rule.trains)
    }
    return changed if rule.private else {**changed, **_list_notes(net)}


def _list_notes(net: str) -> Group:
    """What is said beside a change: its lesions, and their losses; of several heads each one's, and its lesions."""
    heads, weight = len(list_outputs(net)), {f"{net}|#weight": _SUM}
    if heads == 1:
        return {**weight, f"{net}|#loss": _SUM}
    return {**weight, f"{net}|#loss": Spec((heads,), torch.float64), f"{net}|#labelled": _count((heads,))}


def _quantised_change(net: str, task: Task) -> Group:
    """Packed numbers; in a secure sum they are added as they are, with what a plain round works out of them."""
    grid = read_grid(task, net)
    counted = _list_notes(net)
    if task.level not in SECURE_LEVELS:
        packed = Spec((count_packed(grid.count, grid.bits),), get_packed_dtype(grid.bits))
        return {**counted, f"{net}|{CHANGE}": packed}
    sizes = Spec((len(grid.shapes),), torch.float64)
    numbers = Spec((grid.count,), torch.int64)
    return {**counted, f"{net}|{SIZES}": sizes, f"{net}|{CHANGE}": numbers}


def _evaluation(cohort: str, task: Task) -> Iterator[tuple[str, Group]]:
    """Without comparisons, as in a validation round, only the counts of each net are expected."""
    tables = list_tables(task.nets, task.comparisons)
    classifiers = select_classifiers(task.nets) if task.comparisons else ()
    noised = task.level in NOISED_LEVELS
    for net in dict.fromkeys((*task.nets, *classifiers)):
        prefix = f"{cohort}|{net}"
        group = {f"{prefix}|{name}": _count(tables[f"{net}|{name}"]) for name in ("confusion", "scores")}
        if task.replicates:
            group[f"{prefix}|replicates"] = _count((task.replicates, *tables[f"{net}|confusion"]))
        if net in classifiers and not noised:
            group |= _subgroups(prefix)
        if task.level in SECURE_LEVELS:  # a secure sum shows no site alone
            group.pop(f"{prefix}|own", None)
        yield prefix, group
    if len(classifiers) > 1:
        yield f"{cohort}|pairs", {f"{cohort}|pairs|right": _count(tables["pairs|right"])}
    if classifiers and not noised:
        mix = _count((len(CELLS), len(LESION_TYPES)))
        yield f"{cohort}|groups", {f"{cohort}|groups": _count((len(CELLS),)), f"{cohort}|mix": mix}
        yield f"{cohort}|readers", _readers(f"{cohort}|readers", len(classifiers))


def _subgroups(prefix: str) -> Group:
    return {
        f"{prefix}|groups": _count((len(CELLS), 2)),
        f"{prefix}|withheld": _count((len(SUBGROUPS),)),
        f"{prefix}|own": _count((2,)),
    }


def _readers(prefix: str, classifiers: int) -> Group:
    types = len(LESION_TYPES)
    return {
        f"{prefix}|confusion": _count((len(ENTRIES), 2, types, types)),
        f"{prefix}|pairs": _count((len(READ_PAIRS), 2, 2)),
        f"{prefix}|model": _count((classifiers, len(READERS), 2, 2, 2)),
        f"{prefix}|confidence": _count((len(READERS), 2, len(CONFIDENCE), 2)),
        f"{prefix}|seconds": Spec((len(READERS), 2, 3), torch.float64),
        f"{prefix}|seconds_change": Spec((len(READERS), 3), torch.float64),
    }


def _count(shape: tuple[int, ...]) -> Spec:
    return Spec(shape, torch.int64)


def _list_hello(task: Task) -> Mapping[str, Group]:
    counts = {c: {f"{c}|lesions": _COUNT, f"{c}|patients": _COUNT} for c in task.cohorts}
    return {**counts, SUMS_KEY: {SUMS_KEY: _KEY}} if SUMS_KEY in task.inputs else counts


def _list_tally(task: Task) -> Mapping[str, Group]:
    asked = {**_TALLY, REQUEST_TENSOR: _FIGURES} if REQUEST_TENSOR in task.inputs else _TALLY
    return {c: {f"{c}|{name}": spec for name, spec in asked.items()} for c in task.cohorts}


def _list_train(task: Task) -> Mapping[str, Group]:
    return {net: _change(net, task) for net in task.nets}


def _list_evaluate(task: Task) -> Mapping[str, Group]:
    return {name: group for cohort in task.cohorts for name, group in _evaluation(cohort, task)}


GROUPS: Mapping[Kind, Callable[[Task], Mapping[str, Group]]] = {
    "hello": _list_hello,
    "tally": _list_tally,
    "train": _list_train,
    "evaluate": _list_evaluate,
}
"""Kind of task → the groups of its answer, for every question."""
