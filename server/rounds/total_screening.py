"""Screening of a total that nobody can look behind: every rule that holds for each site holds for their sum."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ceus_models.plan.answers.change_grid import SIZES, ChangeGrid, read_grid, restore_total
from ceus_models.plan.answers.secure_layout import BOUND
from ceus_models.plan.train_stage import count_local_steps
from ceus_models.protocol.messages import Task
from ceus_models.protocol.state import State, norm, split_by_net
from server.rounds.plausible_counts import find_count_fault, find_note_fault
from server.rounds.screening import Gate, find_tally_fault

_ROUNDING = 1.001
"""Of norms that sites clip in float32."""


def state_bounds(gate: Gate) -> Task:
    """The gate's task with the bound on each net's change, to which the sites clip: `<net>|#bound`."""
    task = gate.task
    if task.kind != "train" or task.level != "sums":
        return task
    bounds = {f"{net}|{BOUND}": torch.tensor(gate.state_bound(net), dtype=torch.float64) for net in task.nets}
    return replace(task, inputs={**task.inputs, **bounds})


@dataclass(frozen=True)
class TotalGate:
    """Rules for a total over some sites. lesions: of each site by cohort, as declared in hello."""

    task: Task
    lesions: Mapping[str, Mapping[str, int]]

    def find_fault(self, total: Mapping[str, Tensor], sites: tuple[str, ...]) -> str | None:
        """The first broken rule, or None."""
        held: Counter[str] = Counter()
        for site in sites:
            held.update(self.lesions.get(site, {}))
        if self.task.kind == "tally":
            return find_tally_fault(total, held)
        if self.task.kind == "evaluate":
            return find_count_fault(total, held, self.task, len(sites))
        if self.task.level != "sums":
            return None
        seen = restore_total(total, self.task)
        faults = (self._find_change_fault(net, change, seen, sites) for net, change in split_by_net(seen).items())
        return next((fault for fault in faults if fault), None)

    def _find_change_fault(self, net: str, change: State, total: State, sites: tuple[str, ...]) -> str | None:
        counts = [sum(self.lesions.get(site, {}).get(c, 0) for c in self.task.cohorts) for site in sites]
        lesions, largest = sum(counts), max(counts, default=0)
        if fault := find_note_fault(total, net, lesions):
            return fault
        weight = float(total[f"{net}|#weight"])
        step, least = self.task.inputs[f"{net}|{BOUND}"].tolist()
        steps = count_local_steps(largest, self.task.rule) if self.task.rule else 1
        bound, moved = max(step * steps, least), norm(change) / weight
        if self.task.changes:
            grid = read_grid(self.task, net)
            if fault := _find_size_fault(net, total, grid, weight):
                return fault
            bound += grid.rounding
        if moved > bound * _ROUNDING:
            return f"change of {net} per unit weight must be at most {bound:.3g}, found {moved:.3g}"
        return None


def _find_size_fault(net: str, total: State, grid: ChangeGrid, weight: float) -> str | None:
    """What is wrong with the sizes of whole numbers, which no other figure of a secure sum gives."""
    sizes, most = total[f"{net}|{SIZES}"], grid.limit * weight * _ROUNDING
    if bool(((sizes < 0) | (sizes > most)).any()):
        return f"sizes of {net} must be 0 to {most:g}, found {float(sizes.min()):g} to {float(sizes.max()):g}"
    return None


def measure_steps(task: Task, total: State, sites: int) -> dict[str, float]:
    """Per net of a training round, the norm of the mean change per local step, to which the next round compares."""
    if task.kind != "train" or task.rule is None or task.level != "sums":
        return {}
    norms: dict[str, float] = {}
    for net, change in split_by_net(restore_total(total, task)).items():
        weight = float(total[f"{net}|#weight"])
        norms[net] = norm(change) / weight / count_local_steps(math.ceil(weight / sites), task.rule)
    return norms
