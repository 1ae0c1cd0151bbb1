"""A hospital's side of the study: tasks come in, sums or a reasoned no go out."""

from __future__ import annotations

import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch

from ceus_models.nets import CPU
from ceus_models.sample import Sample
from ceus_models.wire import PROTOCOL, Refusal, Task, Update
from client.memory import Place, SiteMemory
from client.policy import Declined, Policy
from client.work import WORK


def silent(report: str) -> None:
    """Tell nobody."""


@dataclass(frozen=True, eq=False)
class Site:
    """One client.

    samples: all lesions of the site · processing: digest of the settings that made them · memory: a folder ·
    on_fault: told where an unexpected error happened (type, files and lines; never a value).
    """

    name: str
    samples: Sequence[Sample]
    processing: str
    policy: Policy
    memory: Path
    device: torch.device = CPU
    on_fault: Callable[[str], None] = silent

    def handle(self, task: Task) -> Update | Refusal:
        """The answer to a task; never raises. The same task gets the same answer however often it is asked."""
        try:
            self._check(task)
            sums, weight = WORK[task.kind](task, self._chosen(task), self._place)
            return Update(self.name, sums, weight)
        except Declined as no:
            return Refusal(self.name, no.reason, no.code)
        except Exception as error:
            # an exception's text may quote a file or a value, so it stays here
            self.on_fault(_where(error))
            return Refusal(self.name, f"unexpected {type(error).__name__}; the site's log says where", "error")

    @cached_property
    def _place(self) -> Place:
        return Place(self.name, SiteMemory(self.memory), self.device, self.policy.minimum_lesions)

    def _check(self, task: Task) -> None:
        """Raises Declined for a task of another protocol or processing, or that the policy refuses."""
        spoken = task.inputs.get("protocol")
        if spoken is not None and int(spoken) != PROTOCOL:
            raise Declined(
                "version",
                f"this site speaks protocol {PROTOCOL}, the coordinator {int(spoken)}: install the same version",
            )
        if task.processing and task.processing != self.processing:
            raise Declined(
                "processing",
                f"this site's lesions were made with processing {self.processing[:12]}, the plan's is "
                f"{task.processing[:12]}: index again with the plan's settings",
            )
        if reason := self.policy.refuses(task):
            raise Declined("policy", reason)

    def _chosen(self, task: Task) -> list[Sample]:
        """Lesions of the task's cohorts (none named: all), without cohorts below the policy's minimum."""
        asked = [s for s in self.samples if not task.cohorts or s.cohort in task.cohorts]
        sizes = Counter(s.cohort for s in asked)
        enough = [s for s in asked if sizes[s.cohort] >= self.policy.minimum_lesions]
        if not enough:
            raise Declined("no_lesions", "this site has no, or too few, lesions in the cohorts of the task")
        return enough


def _where(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    lines = [f"{Path(frame.filename).name}:{frame.lineno} in {frame.name}" for frame in frames]
    return "\n".join([type(error).__name__, *lines])
