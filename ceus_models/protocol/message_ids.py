"""Ids of messages: coordinator and site compute the same id of a message for their audit logs."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import cached_property

from ceus_models.protocol.encoding import encode
from ceus_models.protocol.messages import Message, Task
from ceus_models.protocol.state import State
from ceus_models.protocol.task_id import compute_task_id


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
    def bare(self) -> ReceivedTask:
        """What is asked, without the session of a secure sum: the same in every try of a round."""
        if self.task.session is None:
            return self
        return ReceivedTask(replace(self.task, session=None, inputs=drop_session_inputs(self.task.inputs)))


def drop_session_inputs(inputs: State) -> State:
    """Inputs without those of a session, whose names begin with "#"."""
    return {name: tensor for name, tensor in inputs.items() if not name.startswith("#")}


def compute_content_id(message: Message) -> tuple[str, int]:
    """SHA-256 over the encoded message, and its length in bytes. Raises WireError as `encode`."""
    sha, length = hashlib.sha256(), 0
    for buffer in encode(message):
        sha.update(buffer)
        length += len(buffer)
    return sha.hexdigest(), length
