"""A hospital's side of the study: tasks come in, sums or a reasoned no go out."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch

from ceus_models.nets.factory import CPU
from ceus_models.protocol.message_ids import ReceivedTask
from ceus_models.protocol.messages import PROTOCOL, Refusal, Task, Update
from ceus_models.protocol.privacy.masks import KEY_BYTES
from ceus_models.protocol.privacy.secure_session import SECURE_LEVELS, SUMS_KEY, make_bytes_tensor
from ceus_models.protocol.state import State
from ceus_models.runtime.errors import list_calls
from ceus_models.study.sample import Sample
from client.policy.policy import Consent, Policy, TaskDeclined
from client.worker.audit.log import AuditError
from client.worker.audit.recorder import AuditRecorder
from client.worker.privacy.sessions import SumRules, SumSessions
from client.worker.tasks.handlers import WORK, Sums
from client.worker.tasks.local_checkpoint import Checkpoints
from client.worker.tasks.place import Place
from client.worker.tasks.site_memory import SiteMemory


def silent(report: str) -> None:
    """Tell nobody."""


@dataclass(frozen=True, eq=False)
class Site:
    """One client.

    samples: all lesions of the site · processing: digest of the settings that made them · policy: who says yes or no,
    a fixed policy or the hospital's office · memory: a folder · on_fault: told where an unexpected error happened
    (type, files and lines; never a value) · trail: the audit, None where a simulation has none · keep_after_s: training
    that took so long is kept on disk until another task comes · records: the folder of its key of secure sums, None
    where it takes part in none.
    """

    name: str
    samples: Sequence[Sample]
    processing: str
    policy: Consent
    memory: Path
    device: torch.device = CPU
    on_fault: Callable[[str], None] = silent
    trail: AuditRecorder | None = None
    keep_after_s: float = math.inf
    records: Path | None = None

    def handle(self, task: Task) -> Update | Refusal:
        """The answer to a task; never raises. The same task gets the same answer however often it is asked.

        Where there is an audit, the answer is in it before it leaves, and none leaves that cannot be written down.
        """
        received = ReceivedTask(task)
        answer = self._guard(lambda: self._answer(received))
        return self._guard(lambda: self._record_answer(received, answer))

    def record_refusal(self, refusal: Refusal) -> None:
        """Write down a refusal of what was no task. Never raises: nothing of the site leaves with it."""
        self._guard(lambda: self._record_answer(None, refusal))

    def _guard(self, work: Callable[[], Update | Refusal]) -> Update | Refusal:
        """What the work gives, or a refusal for whatever it raises."""
        try:
            return work()
        except TaskDeclined as no:
            return Refusal(self.name, no.reason, no.code)
        except AuditError as error:
            self.on_fault(str(error))
            return Refusal(self.name, "this site cannot write its audit, so nothing leaves; its log says why", "error")
        except Exception as error:
            # an exception's text may quote a file or a value, so it stays here
            self.on_fault("\n".join([type(error).__name__, *list_calls(error)]))
            if _of_memory(error):
                return Refusal(
                    self.name, "the task needs more memory than this site's machine, or policy, has", "error"
                )
            return Refusal(self.name, f"unexpected {type(error).__name__}; the site's log says where", "error")

    @cached_property
    def _sessions(self) -> SumSessions:
        """Raises TaskDeclined for a site that keeps no key."""
        if self.records is None:
            raise TaskDeclined("session", "this site keeps no key of secure sums, so it takes part in none")
        return SumSessions(self.name, self.records)

    @cached_property
    def _memory(self) -> SiteMemory:
        return SiteMemory(self.memory)

    def _answer(self, received: ReceivedTask) -> Update:
        task, policy = received.task, self.policy.admit(received)
        self._check(task)
        if self.trail:
            self.trail.record_task(received)
        if task.kind in ("offer", "unmask"):
            rules = SumRules()
            sums = self._sessions.offer(task, rules) if task.kind == "offer" else self._sessions.unmask(task, rules)
            return self._release(received, sums, 0.0)
        if (task.level in SECURE_LEVELS) != (task.session is not None):
            raise TaskDeclined("session", f"answers of level {task.level} are asked for with a session, or without one")
        if task.session is None:
            return self._release(received, *self._work(received, policy))
        self._sessions.check(received)
        known = self._sessions.recall(received)
        sums = self._work_quietly(received, policy) if known is None else known
        masked, payload = self._sessions.mask(received, sums)
        if self.trail:
            self.trail.record_masked(received, payload.norms, payload.clipped)
        return self._release(received, masked, 0.0)

    def _release(self, received: ReceivedTask, sums: State, weight: float) -> Update:
        self.policy.release(received)
        return Update(self.name, sums, weight, task=received.id)

    def _work(self, received: ReceivedTask, policy: Policy) -> Sums:
        task = received.task
        kept = Checkpoints(self._memory, received.bare, self.keep_after_s)
        kept.drop_others()
        limits = policy.minimum_lesions, policy.minimum_cell
        place = Place(self.name, self._memory, self.device, *limits, kept)
        sums, weight = WORK[task.kind](task, self._chosen(task.cohorts, policy.minimum_lesions), place)
        if SUMS_KEY in task.inputs:
            sums[SUMS_KEY] = make_bytes_tensor(self._sessions.key.public, KEY_BYTES)
        return sums, weight

    def _work_quietly(self, received: ReceivedTask, policy: Policy) -> State:
        """The sums for a masked answer: those of a site without such lesions are zeros, as nobody need know."""
        try:
            return self._work(received, policy)[0]
        except TaskDeclined as no:
            if no.code != "no_lesions":
                raise
            return {}

    def _record_answer(self, received: ReceivedTask | None, answer: Update | Refusal) -> Update | Refusal:
        if self.trail:
            self.trail.record_answer(received, answer)
        return answer

    def _check(self, task: Task) -> None:
        """Raises TaskDeclined for a task of another protocol or processing."""
        spoken = task.inputs.get("protocol")
        if spoken is not None and int(spoken) != PROTOCOL:
            raise TaskDeclined(
                "version",
                f"this site speaks protocol {PROTOCOL}, the coordinator {int(spoken)}: install the same version",
            )
        if task.processing and task.processing != self.processing:
            raise TaskDeclined(
                "processing",
                f"this site's lesions were made with processing {self.processing[:12]}, the plan's is "
                f"{task.processing[:12]}: index again with the plan's settings",
            )

    def _chosen(self, cohorts: Sequence[str], minimum: int) -> list[Sample]:
        """Lesions of these cohorts (none named: all), without cohorts of fewer lesions than `minimum`."""
        asked = [s for s in self.samples if not cohorts or s.cohort in cohorts]
        sizes = Counter(s.cohort for s in asked)
        enough = [s for s in asked if sizes[s.cohort] >= minimum]
        if not enough:
            raise TaskDeclined("no_lesions", "this site has no, or too few, lesions in the cohorts of the task")
        return enough


def _of_memory(error: Exception) -> bool:
    """torch says so in words only: on the processor it raises a plain RuntimeError."""
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or "can't allocate memory" in str(error)
