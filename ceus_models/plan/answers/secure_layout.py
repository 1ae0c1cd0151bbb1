"""The vector of a secure sum: all groups of the answer's schema in order, and counts of the sites that gave them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from ceus_models.plan.answers.answer_schema import Spec, groups_of
from ceus_models.plan.answers.change_grid import CHANGE
from ceus_models.protocol.messages import Task
from ceus_models.protocol.privacy.fixed_point import count_numbers, count_word_bytes
from ceus_models.protocol.quantisation import find_limit
from ceus_models.protocol.state import State

BOUND = "#bound"
"""Input `<net>|#bound` f64 (2): the largest norm of a change per unit weight: that of a local step, and the least."""
_PRESENT, _CLIPPED = "#present|", "#clipped|"
_COUNT = Spec((), torch.int64)


@dataclass(frozen=True)
class SecureTotal:
    """A total, as a plain round would give it.

    Args:
        sums: without the groups that no site had.
        clipped: net → sites whose change was scaled down to the bound.
    """

    sums: State
    clipped: Mapping[str, int]


def list_layout(task: Task) -> dict[str, Spec]:
    """Names and specs in the order of the vector; the same for a site with and one without such lesions."""
    groups = groups_of(task)
    layout = {name: spec for group in groups.values() for name, spec in group.items()}
    if task.level == "sums":  # with noise, every number is charged: a private task has none but its own
        layout |= {f"{_PRESENT}{group}": _COUNT for group in groups}
        layout |= {f"{_CLIPPED}{net}": _COUNT for net in task.nets if f"{net}|{BOUND}" in task.inputs}
    narrow = _list_narrow(layout, task)
    return {name: spec for name, spec in layout.items() if name not in narrow} | narrow


@dataclass(frozen=True)
class Words:
    """How the vector of a secure sum travels: wide numbers of 64 bits, then narrow ones of fewer bytes.

    Args:
        wide, narrow: numbers of each.
        word_bytes: of a narrow number.
    """

    wide: int
    narrow: int
    word_bytes: int


def find_words(task: Task, sites: int) -> Words:
    """The form in which a sum over so many sites travels."""
    layout = list_layout(task)
    narrow = count_numbers(_list_narrow(layout, task))
    word_bytes = count_word_bytes(find_limit(task.changes.bits), sites) if task.changes else 8
    return Words(count_numbers(layout) - narrow, narrow, word_bytes)


def _list_narrow(layout: Mapping[str, Spec], task: Task) -> dict[str, Spec]:
    """The numbers of quantised changes."""
    names = [f"{net}|{CHANGE}" for net in task.nets] if task.changes else []
    return {name: layout[name] for name in names if name in layout}


def add_site_counts(sums: State, task: Task, clipped: tuple[str, ...]) -> dict[str, Tensor]:
    """A site's sums with a 1 for each group that it has, and for each net that it clipped."""
    layout = list_layout(task)
    present = [group for group, specs in groups_of(task).items() if any(name in sums for name in specs)]
    counts = [*(f"{_PRESENT}{group}" for group in present), *(f"{_CLIPPED}{net}" for net in clipped)]
    kept = {name: tensor for name, tensor in sums.items() if name in layout}
    return {**kept, **{name: torch.tensor(1) for name in counts if name in layout}}


def split_site_counts(total: State, task: Task) -> SecureTotal:
    """The total without its counts, and without the groups that no site had."""
    absent: set[str] = set()
    if task.level == "sums":
        for group, specs in groups_of(task).items():
            absent |= set() if int(total[f"{_PRESENT}{group}"]) else set(specs)
    sums = {name: t for name, t in total.items() if name not in absent and not name.startswith("#")}
    clipped = {net: int(total[f"{_CLIPPED}{net}"]) for net in task.nets if f"{_CLIPPED}{net}" in total}
    return SecureTotal(sums, {net: count for net, count in clipped.items() if count})
