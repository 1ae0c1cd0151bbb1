"""The schema of an answer: names, shapes and dtypes of its tensors, by kind of task.

Tensors come in groups: a net, a cohort, or a net on a cohort. A group is complete or absent; a site without lesions
for it leaves it out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch

from ceus_models.metrics.ood import FIGURES, REQUEST_TENSOR
from ceus_models.metrics.score_bins import CALIBRATION_BINS, COARSE_BINS, FINE_BINS
from ceus_models.nets.trained_parameters import list_trained
from ceus_models.protocol.messages import LocalRule, Task
from ceus_models.protocol.privacy.masks import KEY_BYTES
from ceus_models.protocol.privacy.secure_session import SECURE_LEVELS, SUMS_KEY
from ceus_models.protocol.state import State, select_net
from ceus_models.study.reader_study import ENTRIES, READERS
from ceus_models.study.subgroups import CELLS, SUBGROUPS
from ceus_models.study.taxonomy import BIOMARKERS, CLINICAL, LESION_TYPES, count_outputs, select_classifiers


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
    if task.kind == "hello":
        counts = {c: {f"{c}|lesions": _COUNT, f"{c}|patients": _COUNT} for c in task.cohorts}
        return {**counts, SUMS_KEY: {SUMS_KEY: _KEY}} if SUMS_KEY in task.inputs else counts
    if task.kind == "tally":
        asked = {**_TALLY, REQUEST_TENSOR: _FIGURES} if REQUEST_TENSOR in task.inputs else _TALLY
        return {c: {f"{c}|{name}": spec for name, spec in asked.items()} for c in task.cohorts}
    if task.kind == "train":
        return {net: _change(net, task) for net in task.nets}
    return {name: group for cohort in task.cohorts for name, group in _evaluation(cohort, task)}


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
    start, rule = select_net(task.inputs, net), task.rule or LocalRule()
    changed = {
        f"{net}|{name}": Spec(tuple(start[name].shape), torch.float32) for name in list_trained(start, rule.trains)
    }
    return changed if rule.private else {**changed, f"{net}|#weight": _SUM, f"{net}|#loss": _SUM}


def _evaluation(cohort: str, task: Task) -> Iterator[tuple[str, Group]]:
    """Without replicates, as in a validation round, only the counts of each net are expected."""
    classifiers = select_classifiers(task.nets) if task.replicates else ()
    for net in dict.fromkeys((*task.nets, *classifiers)):
        group = _counts(f"{cohort}|{net}", net, task.replicates)
        if net in classifiers:
            group = {**group, **_subgroups(f"{cohort}|{net}", task.replicates)}
        if task.level in SECURE_LEVELS:  # a secure sum shows no site alone
            group = {name: spec for name, spec in group.items() if not name.endswith("|own")}
        yield f"{cohort}|{net}", group
    if classifiers:
        yield f"{cohort}|pairs", _pairs(f"{cohort}|pairs", len(classifiers))
        yield f"{cohort}|readers", _readers(f"{cohort}|readers", len(classifiers), task.replicates)


def _subgroups(prefix: str, replicates: int) -> Group:
    return {
        f"{prefix}|groups": Spec((1 + replicates, len(CELLS), 2), torch.int32),
        f"{prefix}|withheld": Spec((len(SUBGROUPS),), torch.int64),
        f"{prefix}|own": Spec((2,), torch.int64),
    }


def _pairs(prefix: str, classifiers: int) -> Group:
    return {f"{prefix}|right": Spec((classifiers, classifiers, 2, 2), torch.int64)}


def _readers(prefix: str, classifiers: int, replicates: int) -> Group:
    types = len(LESION_TYPES)
    return {
        f"{prefix}|right": Spec((1 + replicates, len(ENTRIES), 2, 2), torch.int32),
        f"{prefix}|confusion": Spec((len(ENTRIES), 2, types, types), torch.int64),
        f"{prefix}|assistance": Spec((len(READERS), 2, 2), torch.int64),
        f"{prefix}|model": Spec((classifiers, len(READERS), 2, 2, 2), torch.int64),
    }


def _counts(prefix: str, net: str, replicates: int) -> Group:
    rows, k = 1 + replicates, count_outputs(net)
    sides = max(k, 2)  # a binary net has one score and two classes
    return {
        f"{prefix}|confusion": Spec((rows, sides, sides), torch.int32),
        f"{prefix}|scores": Spec((rows, k, 2, COARSE_BINS), torch.int32),
        f"{prefix}|fine": Spec((k, 2, FINE_BINS), torch.int32),
        f"{prefix}|loss": Spec((2,), torch.float64),
        f"{prefix}|calibration": Spec((1 if k == 1 else k + 1, CALIBRATION_BINS, 3), torch.int64),
        f"{prefix}|brier": Spec((rows,), torch.int64),
    }
