"""How large an answer to a task can be, so that a larger one is refused before it is decoded."""

from __future__ import annotations

import math

from ceus_models.plan.answers.answer_schema import groups_of
from ceus_models.protocol.messages import Task

SMALL_BYTES = 16 << 20
"""Room for the header, counts and keys, and for the sealed boxes and shares of a secure sum."""
_WIDEST_BYTES = 8
"""Of a number: in a secure sum a parameter travels as 64 bits, whatever it came as."""


def bound_answer(task: Task) -> int:
    """Bytes that no honest answer exceeds: its parameters are those of the task, its counts those of the schema."""
    if task.kind == "train":
        return SMALL_BYTES + 2 * _WIDEST_BYTES * sum(tensor.numel() for tensor in task.inputs.values())
    if task.kind == "evaluate":
        shapes = [spec.shape for group in groups_of(task).values() for spec in group.values()]
        return SMALL_BYTES + 2 * _WIDEST_BYTES * sum(map(math.prod, shapes))
    return SMALL_BYTES
