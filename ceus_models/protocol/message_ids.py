"""Ids of messages: coordinator and site compute the same id of a message for their audit logs."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import cached_property

import torch

from ceus_models.protocol.encoding import encode
from ceus_models.protocol.messages import Message, Task
from ceus_models.protocol.task_id import compute_task_id

SESSION_MARK = "#"
"""First character of the tensors of a task that belong to a secure sum, not to what is asked."""


@dataclass(frozen=True, eq=False)
class ReceivedTask:
    """A task with its ids, each worked out at its first use and carried with the task from then on."""

    task: Task

    @cached_property
    def id(self) -> str:
        """See `compute_task_id`."""
        return compute_task_id(self.task)

    @cached_property
    def content(self) -> tuple[str, int]:
        """See `compute_content_id`."""
        return compute_content_id(self.task)

    @cached_property
    def question(self) -> str:
        """See `compute_question_id`."""
        return compute_question_id(self.task)

    def copy_to(self, device: torch.device) -> ReceivedTask:
        """The same task with its nets on a device; the question's id is worked out once for all devices.

        What is no parameter (`<net>|#...`) stays where it is.
        """
        inputs = {name: t if "|#" in name else t.to(device) for name, t in self.task.inputs.items()}
        copied = ReceivedTask(replace(self.task, inputs=inputs))
        copied.__dict__["question"] = self.question
        return copied


def compute_content_id(message: Message) -> tuple[str, int]:
    """SHA-256 over the encoded message, and its length in bytes. Raises WireError as `encode`."""
    sha, length = hashlib.sha256(), 0
    for buffer in encode(message):
        sha.update(buffer)
        length += len(buffer)
    return sha.hexdigest(), length


def compute_question_id(task: Task) -> str:
    """SHA-256 over what a task asks: all of it but its session, what the coordinator has heard of sites, and the frozen
    sub-models that a digest stands for.
    """
    inputs = {
        name: tensor
        for name, tensor in task.inputs.items()
        if not name.startswith(SESSION_MARK) and ("|" not in name or name.partition("|")[0] in task.nets)
    }
    return compute_content_id(replace(task, inputs=inputs, session=None, survivors=(), plan="", roster="", answers={}))[
        0
    ]
