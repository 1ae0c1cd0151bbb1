"""What a plan asks of a site by (stage, round, kind): the task without its tensors, by the coordinator's own code."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from ceus_models.nets.heads import list_nets
from ceus_models.plan.plan import Plan, Stage
from ceus_models.plan.progress import Progress
from ceus_models.plan.rounds.any_stage import find_rounds
from ceus_models.plan.terms.net_groups import expand_names
from ceus_models.plan.train_stage import Train
from ceus_models.protocol.messages import Kind, Task
from ceus_models.protocol.state import State

FREE_FIELDS = {"inputs", "session", "survivors", "attempt", "plan", "roster", "answers"}
"""Fields of a task that change from round to round and from try to try."""


def find_expected_task(plan: Plan, task: Task) -> tuple[int, Task] | None:
    """Find what the plan asks under the names of a task.

    Args:
        task: whose stage, kind, round, seed, recipe and digest of frozen sub-models are taken over.

    Returns:
        The stage's index and the task without the tensors of nets; None where the plan asks nothing by these names.
    """
    for index, stage in enumerate(plan.stages):
        step = _find_step(stage, task.kind, task.round) if stage.name == task.stage else None
        if step is not None:
            asked = expand_names(getattr(stage, "nets", ()))
            nets: dict[str, State] = {net: {} for net in list_nets(asked, plan.sharing)}
            at = Progress(stage=index, step=step, recipe=task.recipe, frozen=task.frozen, nets=nets)
            return index, find_rounds(stage).task(at, plan.study(task.seed))
    return None


def list_differences(task: Task, expected: Task) -> Iterator[str]:
    """Name the fields of a task that differ from what the plan asks."""
    for field in dataclasses.fields(Task):
        if field.name not in FREE_FIELDS and getattr(task, field.name) != getattr(expected, field.name):
            yield field.name


def list_new_nets(plan: Plan, task: Task) -> tuple[str, ...]:
    """The nets of a task that begin at their initial weights: no stage before has trained them."""
    trained: set[str] = set()
    for stage in plan.stages:
        if stage.name == task.stage:
            first = isinstance(stage, Train) and (task.kind, task.round) == stage.sequence()[0]
            return tuple(net for net in task.nets if first and net not in trained)
        if isinstance(stage, Train):
            trained.update(stage.list_trained_nets(plan.sharing))
    return ()


def _find_step(stage: Stage, kind: Kind, number: int) -> int | None:
    if isinstance(stage, Train):
        sequence: tuple[tuple[str, int], ...] = stage.sequence()
        return sequence.index((kind, number)) if (kind, number) in sequence else None
    return 0 if number == 0 else None
