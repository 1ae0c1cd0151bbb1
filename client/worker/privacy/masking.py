"""Screening at the site itself, before its numbers are masked: nobody can look at them afterwards."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from torch import Tensor

from ceus_models.plan.answers.answer_schema import groups_of
from ceus_models.plan.answers.change_grid import CHANGE, expand_changes
from ceus_models.plan.answers.secure_layout import BOUND, add_site_counts, list_layout
from ceus_models.plan.train_stage import count_local_steps
from ceus_models.protocol.messages import Task
from ceus_models.protocol.privacy.fixed_point import Ring, can_be_added, pack_integers
from ceus_models.protocol.state import State, norm, scale, split_by_net
from client.policy.policy import TaskDeclined
from client.worker.privacy.error_feedback import Quantiser


@dataclass(frozen=True)
class Payload:
    """A site's numbers before they are masked.

    Args:
        vector: integers in the order of the task's layout.
        norms: net → norm of its change per unit weight, as it was; for the site's audit only.
        clipped: nets whose change was scaled down to the task's bound.
        dropped: groups of numbers that cannot be added, which are zeros.
    """

    vector: Ring
    norms: Mapping[str, float]
    clipped: tuple[str, ...]
    dropped: tuple[str, ...]


def prepare_payload(task: Task, sums: State, quantiser: Quantiser | None = None) -> Payload:
    """Clip every net's change to the task's bound, round it to few bits if asked, and pack all numbers as integers.

    A group with a number that is not finite, or too large for an exact sum, is zeros, as if the site had none: a
    refusal would tell something of the lesions.

    Raises:
        TaskDeclined: the task's bound is none.
    """
    if task.session is None:
        raise ValueError("a masked answer needs a session, and this task brings none")
    if task.changes and quantiser:
        sums = quantiser.add_residues(task, sums)
    norms = {net: _measure_change(net, state, sums) for net, state in _split_changes(task, sums).items()}
    bounds = {net: _find_bound(net, task, sums) for net in norms}
    clipped = tuple(net for net in norms if norms[net] > bounds[net])
    kept = dict(sums)
    for net in clipped:
        kept |= _scale_change(net, sums, bounds[net] / norms[net])
    sites = len(task.session.sites)
    dropped = tuple(_list_too_large(task, kept, sites))
    for group in dropped:
        kept = {name: tensor for name, tensor in kept.items() if name not in groups_of(task)[group]}
    if task.changes and quantiser:
        kept = expand_changes(quantiser.round_changes(task, kept), task)
    counted = add_site_counts(kept, task, tuple(net for net in clipped if net not in dropped))
    return Payload(pack_integers(counted, list_layout(task), sites), norms, clipped, dropped)


def _list_too_large(task: Task, sums: State, sites: int) -> Iterator[str]:
    for group, specs in groups_of(task).items():
        if not all(can_be_added(sums[name], sites) for name in specs if name in sums):
            yield group


def check_bounds(task: Task) -> None:
    """Raise TaskDeclined for training without noise that states no bound on a net's change."""
    private = task.rule is not None and task.rule.private is not None
    if task.kind == "train" and not private and not all(f"{net}|{BOUND}" in task.inputs for net in task.nets):
        raise TaskDeclined("session", "a secure sum must state a bound for each net's change, this task lacks one")


def _split_changes(task: Task, sums: State) -> Mapping[str, State]:
    """Net → change, of the nets for which the task states a bound."""
    changes = split_by_net({name: t for name, t in sums.items() if not name.startswith("#")})
    return {net: state for net, state in changes.items() if f"{net}|{BOUND}" in task.inputs}


def _measure_change(net: str, change: State, sums: State) -> float:
    """The norm per lesion; a change that is to be quantised is per lesion already."""
    weight = float(sums[f"{net}|#weight"])
    return norm(change) / (1.0 if CHANGE in change else weight) if weight > 0 else 0.0


def _find_bound(net: str, task: Task, sums: State) -> float:
    """Raises TaskDeclined for a bound that is no bound."""
    step, least = task.inputs[f"{net}|{BOUND}"].tolist()
    if not (math.isfinite(step) and math.isfinite(least) and step >= 0 and least >= 0):
        raise TaskDeclined("error", f"the bound on the change of {net} must be finite and at least 0")
    steps = count_local_steps(float(sums[f"{net}|#weight"]), task.rule) if task.rule else 1
    return float(max(step * steps, least))


def _scale_change(net: str, sums: State, factor: float) -> dict[str, Tensor]:
    """A net's change times `factor`; its weight and loss stay."""
    names = [name for name in sums if name.startswith(f"{net}|") and not name.startswith(f"{net}|#")]
    return scale({name: sums[name] for name in names}, factor)
