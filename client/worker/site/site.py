"""A hospital's side of the study: tasks come in, sums or a reasoned no go out."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import torch

from ceus_models.protocol.message_ids import ReceivedTask
from ceus_models.protocol.messages import Refusal, Task, Update
from ceus_models.runtime.errors import list_calls
from ceus_models.study.sample import Sample
from client.policy.policy import Consent, Policy, TaskDeclined
from client.worker.audit.log import AuditError
from client.worker.audit.recorder import AuditRecorder
from client.worker.privacy.budget import BudgetLedger
from client.worker.privacy.error_feedback import Quantiser
from client.worker.privacy.openings import OpeningLog
from client.worker.privacy.plan_binding import PlanBinding
from client.worker.privacy.release import NOISED_LEVELS, Release
from client.worker.privacy.sessions import SumSessions
from client.worker.privacy.study_facts import StudyFacts
from client.worker.privacy.task_checks import check_recipe, check_steps, check_tensors
from client.worker.tasks.devices.compute_device import ComputeDevice, DeviceError
from client.worker.tasks.handlers import WORK, Sums
from client.worker.tasks.local_checkpoint import Checkpoints
from client.worker.tasks.place import Place
from client.worker.tasks.site_memory import SiteMemory

UNANSWERED = "this site could not answer; its own log says why"
"""The one text of whatever goes wrong once lesions are looked at: it must not depend on them."""


def silent(report: str) -> None:
    """Tell nobody."""


@dataclass(frozen=True, eq=False)
class Site:
    """One client.

    samples: all lesions of the site · processing: digest of the settings that made them · policy: who says yes or no,
    a fixed policy or the hospital's office · memory: a folder · on_fault: told where an unexpected error happened
    (type, files and lines; never a value) · trail: the audit, None where a simulation has none · keep_after_s: training
    that took so long is kept on disk until another task comes · records: folder of its keys, and of the rounds, sums
    and spending that it must remember; None for a simulation, which remembers them for its run.
    """

    name: str
    samples: Sequence[Sample]
    processing: str
    policy: Consent
    memory: Path
    compute: ComputeDevice = field(default_factory=ComputeDevice)
    on_fault: Callable[[str], None] = silent
    trail: AuditRecorder | None = None
    keep_after_s: float = math.inf
    records: Path | None = None

    def handle(self, task: Task) -> Update | Refusal:
        """The answer to a task; never raises. The same task gets the same answer however often it is asked.

        Where there is an audit, the answer is in it before it leaves, and none leaves that cannot be written down.
        """
        try:
            return self.handle_at(ReceivedTask(task), self.compute)
        except DeviceError as error:
            self.on_fault("\n".join([str(error), *list_calls(error.__cause__ or error)]))
            return Refusal(self.name, UNANSWERED, "error")

    def handle_at(self, received: ReceivedTask, compute: ComputeDevice) -> Update | Refusal:
        """The answer, worked out on this device. Raises DeviceError where not the site but the device failed."""
        answer = self._guard(lambda: self._answer(received, compute), compute)
        return self._guard(lambda: self._record_answer(received, answer), compute)

    def record_refusal(self, refusal: Refusal) -> None:
        """Write down a refusal of what was no task. Never raises: nothing of the site leaves with it."""
        self._guard(lambda: self._record_answer(None, refusal), self.compute)

    def _guard(self, work: Callable[[], Update | Refusal], compute: ComputeDevice) -> Update | Refusal:
        """What the work gives, or a refusal for whatever it raises but a failure of the device."""
        try:
            return work()
        except TaskDeclined as no:
            return Refusal(self.name, no.reason, no.code)
        except AuditError as error:
            self.on_fault(str(error))
            return Refusal(self.name, "this site cannot write its audit, so nothing leaves; its log says why", "error")
        except Exception as error:
            # an exception's text may quote a file or a value, and its type may depend on one, so both stay here
            if isinstance(error, torch.OutOfMemoryError) or not compute.responds():
                raise DeviceError(f"{compute.name}: {type(error).__name__}") from error
            self.on_fault("\n".join([type(error).__name__, *list_calls(error)]))
            return Refusal(self.name, UNANSWERED, "error")

    @cached_property
    def _memory(self) -> SiteMemory:
        return SiteMemory(self.memory)

    @cached_property
    def _binding(self) -> PlanBinding:
        return PlanBinding((self.records or self.memory) / "plans", self._facts)

    @cached_property
    def _facts(self) -> StudyFacts:
        return StudyFacts(self.records)

    @cached_property
    def _release(self) -> Release:
        keys = self.records or self.memory
        sessions = SumSessions(self.name, keys, OpeningLog(self.records))
        quantiser = Quantiser(self.name, self._memory)
        ledger = BudgetLedger(self.records)
        return Release(self.name, keys, sessions, ledger, self._facts, self.trail, self.on_fault, quantiser)

    def _answer(self, received: ReceivedTask, compute: ComputeDevice) -> Update:
        task, policy = received.task, self.policy.admit(received)
        self._check(task)
        check_tensors(task, compute.device)
        check_steps(task)
        check_recipe(task)
        if policy.privacy.bound_to_plan:
            plan = self._binding.check(received)
            if task.kind == "hello":
                self._release.admit_plan(plan, policy)
        if self.trail:
            self.trail.record_task(received)
        update = self._release.make_answer(received, policy, lambda: self._work(received, policy, compute))
        self.policy.release(received)
        return update

    def _work(self, received: ReceivedTask, policy: Policy, compute: ComputeDevice) -> Sums:
        task = received.task
        kept = Checkpoints(self._memory, received, self.keep_after_s)
        kept.drop_others()
        if task.kind in ("train", "evaluate"):
            self._memory.forget_residues(task)
        limits = policy.minimum_lesions, policy.minimum_cell
        place = Place(self.name, self._memory, compute, *limits, kept)
        noised = task.level in NOISED_LEVELS  # there a minimum would let one patient decide for others
        return WORK[task.kind](task, self._chosen(task, 1 if noised else policy.minimum_lesions), place)

    def _record_answer(self, received: ReceivedTask | None, answer: Update | Refusal) -> Update | Refusal:
        if self.trail:
            self.trail.record_answer(received, answer)
        return answer

    def _check(self, task: Task) -> None:
        """Raises TaskDeclined for a task of another processing."""
        if task.processing and task.processing != self.processing:
            raise TaskDeclined(
                "processing",
                f"this site's lesions were made with processing {self.processing[:12]}, the plan's is "
                f"{task.processing[:12]}: index again with the plan's settings",
            )

    def _chosen(self, task: Task, minimum: int) -> list[Sample]:
        """Lesions of the task's cohorts (none named: all), without cohorts of fewer lesions than `minimum`."""
        held = self._freeze(task.study)
        asked = [s for s in self.samples if s.key in held and (not task.cohorts or s.cohort in task.cohorts)]
        sizes = Counter(s.cohort for s in asked)
        enough = [s for s in asked if sizes[s.cohort] >= minimum]
        if not enough:
            raise TaskDeclined("no_lesions", "this site has no, or too few, lesions in the cohorts of the task")
        return enough

    def _freeze(self, study: str) -> set[str]:
        """The lesions that the site had when the study began here: two tallies around a new patient would show him."""
        if self._facts.find(study, "lesions") is None:
            self._facts.settle(study, "lesions", " ".join(sorted(s.key for s in self.samples)))
        return set((self._facts.find(study, "lesions") or "").split())
