"""How a task is named by those who know it without its tensors, and without torch."""

from __future__ import annotations

import hashlib
import json

from ceus_models.protocol.messages import Task


def asked_id(task: Task) -> str:
    """SHA-256 over (study, seed, stage, round, kind): one id for a task however often it is sent."""
    parts = [task.study, task.seed, task.stage, task.round, task.kind]
    return hashlib.sha256(json.dumps(parts, separators=(",", ":")).encode()).hexdigest()
