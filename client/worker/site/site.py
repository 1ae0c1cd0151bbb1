"""A hospital's side of the study: tasks come in, sums or a reasoned no go out."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import TypeVar

import torch

from ceus_models.plan.words.outline import read_outline
from ceus_models.protocol.message_ids import ReceivedTask
from ceus_models.protocol.messages import Refusal, Task, Update
from ceus_models.protocol.software import Software
from ceus_models.runtime.errors import list_calls
from ceus_models.study.sample import Sample
from client.data.dataset.current_samples import SampleSet
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
from client.worker.privacy.task_checks import SESSION_KINDS, check_alone, check_recipe, check_steps, check_tensors
from client.worker.site.restored_records import RestorationGuard
from client.worker.site.site_lesions import Holding, SiteLesions
from client.worker.tasks.devices.compute_device import ComputeDevice, DeviceError
from client.worker.tasks.handlers import WORK, Sums
from client.worker.tasks.local_checkpoint import Checkpoints
from client.worker.tasks.place import Place
from client.worker.tasks.site_memory import SiteMemory

T = TypeVar("T")
Answer = Update | Refusal
UNANSWERED = "this site could not answer; its own log says why"
"""The one text of whatever goes wrong once lesions are looked at: it must not depend on them."""


def silent(report: str) -> None:
    """Tell nobody."""


@dataclass(frozen=True, eq=False)
class Site:
    """One client.

    samples: all lesions of the site · processing: digest of the settings that made them · lesions: where both come from
    instead, at each task, at a hospital · policy: who says yes or no, a fixed policy or the hospital's office · memory:
    a folder · on_fault: told where an unexpected error happened
    (type, files and lines; never a value) · trail: the audit, None where a simulation has none · keep_after_s: training
    that took so long is kept on disk until another task comes · records: folder of its keys, and of the rounds, sums
    and spending that it must remember; None for a simulation, which remembers them for its run · restoration: whether
    these records are older than an answer, at a hospital · software: that is installed there.
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
    lesions: SiteLesions | None = None
    restoration: RestorationGuard | None = None
    software: Software | None = None

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
        made = self._guard(lambda: self._answer(received, compute), compute)
        answer, index = (made, "") if isinstance(made, Refusal) else made
        return self._guard(lambda: self._record_answer(received, answer, index), compute)

    def record_refusal(self, refusal: Refusal) -> None:
        """Write down a refusal of what was no task. Never raises: nothing of the site leaves with it."""
        self._guard(lambda: self._record_answer(None, refusal), self.compute)

    def _guard(self, work: Callable[[], T], compute: ComputeDevice) -> T | Refusal:
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
        facts, count = self._facts, self._count_withdrawn
        return Release(self.name, keys, sessions, ledger, facts, self.trail, self.on_fault, quantiser, count)

    def _count_withdrawn(self, study: str) -> int:
        """Of the patients with whom the study began here."""
        held = self._facts.find(study, "lesions")
        return self.lesions.count_withdrawn(held.split()) if self.lesions and held else 0

    def _answer(self, received: ReceivedTask, compute: ComputeDevice) -> tuple[Update, str]:
        """The answer, and the digest of the index that it is made from."""
        task = received.task
        if self.restoration:
            self.restoration.check(task.answers.get(self.name))
        policy = self.policy.admit(received)
        holding = None if task.kind in SESSION_KINDS else self._load_lesions()
        if holding:
            _check_processing(task, holding.lesions.processing)
        check_tensors(task, compute.device)
        check_steps(task)
        check_recipe(task)
        held = {sample.cohort for sample in holding.lesions.samples} if holding else set[str]()
        check_alone([(task.kind, task.level, task.cohorts)], held, policy.privacy)
        if policy.privacy.bound_to_plan:
            plan = self._binding.check(received)
            if self.software and (why := plan.software.find_mismatch(self.software)):
                raise TaskDeclined("version", why)
            if task.kind == "hello":
                self._release.admit_plan(plan, policy)
                asked = (one for stage in read_outline(plan.plain()).stages for one in stage.list_asked())
                check_alone(asked, held, policy.privacy)
        used = self._select(task, holding.lesions.samples) if holding else []
        mark = self._check_repeat(received, holding, used)
        if self.trail:
            self.trail.record_task(received)
        work = partial(self._work, received, policy, compute, used)
        index = holding.index if holding else ""
        update = self._release.make_answer(received, policy, work, index)
        self.policy.release(received)
        if self.lesions and holding:
            self.lesions.check(used, holding)
            if mark:
                self._facts.settle(task.study, f"lesions|{received.question}", mark)
        return replace(update, software=self.software), index

    def _load_lesions(self) -> Holding:
        return self.lesions.load() if self.lesions else Holding(SampleSet(self.samples, self.processing))

    def _check_repeat(self, received: ReceivedTask, holding: Holding | None, used: Sequence[Sample]) -> str:
        """The mark of the lesions of an answer, "" where it need not be remembered.

        Raises TaskDeclined for a round that was answered from others: the difference of two answers would be the lesion
        that was removed between them. Hello tells its counts anyway, and noised answers are compared by the ledger.
        """
        task = received.task
        if not self.lesions or not holding or task.kind == "hello" or task.level in NOISED_LEVELS:
            return ""
        mark = holding.lesions.mark(used)
        if self._facts.find(task.study, f"lesions|{received.question}") not in (None, mark):
            raise TaskDeclined(
                "plan", "this round was answered before lesions of this site were changed or withdrawn; ask the next"
            )
        return mark

    def _work(self, received: ReceivedTask, policy: Policy, compute: ComputeDevice, used: Sequence[Sample]) -> Sums:
        task = received.task
        kept = Checkpoints(self._memory, received, self.keep_after_s)
        kept.drop_others()
        if task.kind in ("train", "evaluate"):
            self._memory.forget_residues(task)
        limits = policy.minimum_lesions, policy.minimum_cell
        place = Place(self.name, self._memory, compute, *limits, kept)
        noised = task.level in NOISED_LEVELS  # there a minimum would let one patient decide for others
        return WORK[task.kind](task, _require(used, 1 if noised else policy.minimum_lesions), place)

    def _record_answer(self, received: ReceivedTask | None, answer: Answer, index: str = "") -> Answer:
        """The answer with the audit's mark, written down."""
        if self.trail:
            said = (self.restoration.close(), self.restoration.machine) if self.restoration else ()
            answer = replace(answer, audit=self.trail.mark(*said))
            self.trail.record_answer(received, answer, index)
        return answer

    def _select(self, task: Task, samples: Sequence[Sample]) -> list[Sample]:
        """Lesions of the task's cohorts (none named: all) that the site had when the study began here."""
        held = self._freeze(task.study, samples)
        return [s for s in samples if s.key in held and (not task.cohorts or s.cohort in task.cohorts)]

    def _freeze(self, study: str, samples: Sequence[Sample]) -> set[str]:
        """The lesions that the site had when the study began here: two tallies around a new patient would show him."""
        if self._facts.find(study, "lesions") is None:
            self._facts.settle(study, "lesions", " ".join(sorted(s.key for s in samples)))
        return set((self._facts.find(study, "lesions") or "").split())


def _check_processing(task: Task, processing: str) -> None:
    """Raises TaskDeclined for a task of another processing."""
    if task.processing and task.processing != processing:
        raise TaskDeclined(
            "processing",
            f"this site's lesions were made with processing {processing[:12]}, the plan's is "
            f"{task.processing[:12]}: index again with the plan's settings",
        )


def _require(used: Sequence[Sample], minimum: int) -> list[Sample]:
    """The lesions without those of cohorts that have fewer than `minimum`. Raises TaskDeclined where none is left."""
    sizes = Counter(s.cohort for s in used)
    enough = [s for s in used if sizes[s.cohort] >= minimum]
    if not enough:
        raise TaskDeclined("no_lesions", "this site has no, or too few, lesions in the cohorts of the task")
    return enough
