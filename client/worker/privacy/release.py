"""The one way by which numbers leave a site: zeros for what is not finite, noise, the ledger, and the mask of a sum."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ceus_models.plan.answers.answer_schema import groups_of
from ceus_models.plan.plan import Plan
from ceus_models.protocol.message_ids import ReceivedTask
from ceus_models.protocol.messages import Task, Update
from ceus_models.protocol.privacy.masks import KEY_BYTES
from ceus_models.protocol.privacy.secure_levels import SECURE_LEVELS
from ceus_models.protocol.privacy.secure_session import SUMS_KEY, make_bytes_tensor
from ceus_models.protocol.state import State, digest, is_finite
from client.policy.policy import Policy, TaskDeclined
from client.policy.privacy_levels import PrivacyLevels
from client.worker.audit.log import AuditError
from client.worker.audit.recorder import AuditRecorder
from client.worker.privacy.budget import BudgetLedger, Charge, find_cost
from client.worker.privacy.error_feedback import Quantiser
from client.worker.privacy.noise import add_count_noise, add_noise
from client.worker.privacy.sessions import SumRules, SumSessions
from client.worker.privacy.study_facts import StudyFacts
from client.worker.privacy.task_checks import SESSION_KINDS

NOISED_LEVELS = ("distributed", "local")
CHARGED = "charged"
Sums = tuple[dict[str, Tensor], float]
"""Named sums, and the number of lesions that they are made of."""


@dataclass(frozen=True, eq=False)
class Release:
    """How the sums of one site become an answer; nothing else leaves.

    Args:
        site: its name.
        keys: folder of its secret keys.
        sessions: its half of secure sums.
        ledger: what was spent of each patient's privacy.
        facts: whether a study was charged before, so that a ledger that is gone is missed.
        trail: the audit, None where a simulation has none.
        log: told what the hospital should know, never a value.
        quantiser: rounds changes that travel in few bits.
        count_withdrawn: of the patients with whom a study began here, those who withdrew since.
    """

    site: str
    keys: Path
    sessions: SumSessions
    ledger: BudgetLedger
    facts: StudyFacts
    trail: AuditRecorder | None
    log: Callable[[str], None]
    quantiser: Quantiser
    count_withdrawn: Callable[[str], int] = lambda study: 0

    def admit_plan(self, plan: Plan, policy: Policy) -> None:
        """Refuse a study before its first round where it would spend more than the hospital allows.

        Raises:
            TaskDeclined: with the sum.
        """
        self.ledger.check_plan(plan, policy.privacy)

    def make_answer(self, received: ReceivedTask, policy: Policy, work: Callable[[], Sums], index: str = "") -> Update:
        """Make the answer to a task.

        Args:
            work: computes the sums; it is called once nothing but lesions can stop the answer.
            index: digest of the index that they are made from.

        Raises:
            TaskDeclined: the level, the session or the budget does not allow it.
            AuditError: a log was changed or cannot be written.
        """
        task = received.task
        if task.kind in SESSION_KINDS:
            rules = SumRules(policy.privacy.minimum_sites, policy.privacy.roster)
            open_step = self.sessions.offer if task.kind == "offer" else self.sessions.unmask
            return Update(self.site, open_step(task, rules), 0.0, task=received.id)
        if (task.level in SECURE_LEVELS) != (task.session is not None):
            raise TaskDeclined("session", f"expected a session at level {task.level}, or none, found the opposite")
        if task.session is None:
            sums, weight = self._protect(received, policy.privacy, work)
            if task.changes:
                sums = self.quantiser.round_changes(task, self.quantiser.add_residues(task, sums))
            if SUMS_KEY in task.inputs:
                sums[SUMS_KEY] = make_bytes_tensor(self.sessions.key.public, KEY_BYTES)
            return self._state(received, policy, sums, weight)
        self.sessions.check(received)
        sums, _ = self._protect(received, policy.privacy, lambda: self._work_for_sum(received, work, index))
        masked, payload = self.sessions.mask(received, sums, self.quantiser)
        if self.trail:
            self.trail.record_masked(received, payload.norms, clipped=payload.clipped, dropped=payload.dropped)
        return self._state(received, policy, masked, 0.0)

    def _protect(self, received: ReceivedTask, levels: PrivacyLevels, work: Callable[[], Sums]) -> Sums:
        """What may be sent or masked: finite, and at a private task noised, charged and complete."""
        cost = find_cost(received, levels.colluding)
        if cost is None:
            if received.task.level in NOISED_LEVELS:
                raise TaskDeclined("plan", f"expected noise at level {received.task.level}, the task has none")
            sums, weight = work()
            return replace_not_finite(sums, self.log), weight
        if self.facts.find(cost.study, CHARGED) and not self.ledger.compute_spent(cost.study, levels.delta):
            raise AuditError(
                "expected a privacy ledger with this study's charges, found none: bring budget.jsonl and budget.head "
                "back from the newest backup, then run `ceus-site restored`"
            )
        self.ledger.check(cost, levels)
        sums, _ = work()
        whole = self._complete(received, replace_not_finite(sums, self.log))
        noised = (add_noise if received.task.rule else add_count_noise)(received, whole, self.keys)
        self.ledger.charge(Charge(cost, _hash(noised)))
        self.facts.settle(cost.study, CHARGED, "yes")
        return noised, 0.0

    def _work_for_sum(self, received: ReceivedTask, work: Callable[[], Sums], index: str) -> Sums:
        """The sums, once per question; those of a site without such lesions are zeros, as nobody need know."""
        kept = self.sessions.recall(received, index)
        if kept is not None:
            return dict(kept), 0.0
        try:
            sums, weight = work()
        except TaskDeclined as no:
            if no.code != "no_lesions":
                raise
            sums, weight = {}, 0.0
        self.sessions.keep(received, sums, index)
        return sums, weight

    def _complete(self, received: ReceivedTask, sums: State) -> dict[str, Tensor]:
        """All tensors of the task's layout: a share of the noise is due from a site without lesions too."""
        specs = {name: spec for group in groups_of(received.task).values() for name, spec in group.items()}
        return {name: sums.get(name, torch.zeros(spec.shape, dtype=spec.dtype)) for name, spec in specs.items()}

    def _state(self, received: ReceivedTask, policy: Policy, sums: State, weight: float) -> Update:
        """The answer, with what is said beside the sums: the ε of the study after it, and who withdrew."""
        spent = self.ledger.compute_spent(received.task.study, policy.privacy.delta)
        withdrawn = self._find_withdrawn(received.task)
        return Update(self.site, sums, weight, spent, received.id, withdrawn=withdrawn)

    def _find_withdrawn(self, task: Task) -> int:
        """How many patients withdrew, as far as this answer may say it.

        Hello and answers of level none show counts of this site anyway. Within a protected stage the number stays as it
        was at its first answer: else two totals around a withdrawal would be those around one patient of this site.
        """
        count = self.count_withdrawn(task.study)
        if task.kind == "hello" or task.level == "none":
            return count
        name = f"withdrawn|{task.stage}"
        self.facts.settle(task.study, name, str(count))
        return int(self.facts.find(task.study, name) or 0)


def replace_not_finite(sums: State, log: Callable[[str], None]) -> dict[str, Tensor]:
    """Replace the whole group of a number that is not finite by zeros, so that the answer's form tells nothing.

    A group is what shares a name up to the last bar: a net, a cohort, or a net on a cohort.
    """
    bad = {name.rpartition("|")[0] for name, tensor in sums.items() if not is_finite({name: tensor})}
    for group in sorted(bad):
        log(f"{group}: a number was not finite, so zeros are sent; look at this site's lesions of that group")
    return {n: torch.zeros_like(t) if n.rpartition("|")[0] in bad else t for n, t in sums.items()}


def _hash(sums: State) -> str:
    return hashlib.sha256(digest(sums).encode()).hexdigest()
