"""What a site allows. The file is the hospital's; nothing that the coordinator sends can widen it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:  # a hospital that reads its files need not load torch
    from ceus_models.wire import Task

Code = Literal["policy", "version", "processing", "needs_frozen", "no_lesions", "error"]


class Declined(Exception):
    """A site's reasoned no; it becomes a Refusal, so its text is ours and names no patient."""

    def __init__(self, code: Code, reason: str) -> None:
        """code: for the coordinator's program · reason: for its reader."""
        super().__init__(reason)
        self.code: Code = code
        self.reason = reason


@dataclass(frozen=True)
class Policy:
    """kinds: of task that are answered · minimum_lesions: what holds fewer lesions is left out of every answer."""

    kinds: tuple[str, ...] = ("hello", "tally", "train", "evaluate")
    max_epochs: int = 10
    max_learning_rate: float = 1.0
    minimum_lesions: int = 1

    def refuses(self, task: Task) -> str | None:
        """Why this site does not answer the task, or None when it does."""
        if task.kind not in self.kinds:
            return f"this site's policy answers {', '.join(self.kinds)}, not {task.kind}"
        if task.rule is None:
            return None
        for name, asked, cap in (
            ("epochs", task.rule.epochs, self.max_epochs),
            ("learning_rate", task.rule.learning_rate, self.max_learning_rate),
        ):
            if asked > cap:
                return f"this site's policy caps {name} at {cap}, the task asks for {asked}: lower it in the plan"
        return None
