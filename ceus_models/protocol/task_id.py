"""How a task is named by those who know it without its tensors, and without torch."""

from __future__ import annotations

import hashlib
import json

from ceus_models.protocol.messages import Task


def compute_task_id(task: Task) -> str:
    """The id of a task: SHA-256 over all that names it, the same however often it is sent."""
    session = task.session.id if task.session else ""
    parts = [task.study, task.seed, task.stage, task.round, task.kind, task.attempt, session]
    return hashlib.sha256(json.dumps(parts, separators=(",", ":")).encode()).hexdigest()
