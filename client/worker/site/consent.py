"""The hospital's say over a running worker: its policy, its standing and its day's rounds, looked at for every task."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path

from ceus_models.protocol.message_ids import ReceivedTask
from ceus_models.runtime.errors import ExpectedError
from client.policy.approved_studies import read_approved
from client.policy.policy import APPROVED, Policy, TaskDeclined
from client.policy.policy_file import PolicyFile, PolicyVersion
from client.worker.audit.recorder import AuditRecorder
from client.worker.privacy.task_checks import SESSION_KINDS
from client.worker.site.opt_out import read_participation
from client.worker.site.round_quota import RoundQuota, day_of
from client.worker.tasks.memory_layout import forget
from client.worker.tasks.site_memory import SiteMemory


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


@dataclass
class SiteConsent:
    """A `client.policy.policy.Consent` over the files of a hospital's folder.

    records: where standing and rounds are kept · trail: where a changed policy is written down · on_policy: called
    with every policy that comes into force · log: told what the hospital should know.
    """

    file: PolicyFile
    records: Path
    memory: SiteMemory
    trail: AuditRecorder
    on_policy: Callable[[Policy], None]
    log: Callable[[str], None]
    clock: Callable[[], datetime.datetime] = _now
    _edition: PolicyVersion | None = field(default=None, init=False)

    def policy(self) -> Policy:
        """The policy in force; a new one is written down and applied first.

        Raises TaskDeclined while the file has a fault, or AuditError where the change cannot be written down.
        """
        edition = self.file.load_current()
        if self._edition is None or edition.digest != self._edition.digest:
            self.trail.policy(edition)
            self.log(_describe_change(edition))
            if edition.policy is not None:
                self.on_policy(edition.policy)
            self._edition = edition
        if edition.policy is None:
            raise TaskDeclined(
                "policy", "this site's policy.yaml has a fault, so nothing is answered until its IT mends it"
            )
        return edition.policy

    def admit(self, received: ReceivedTask) -> Policy:
        """The policy in force. Raises TaskDeclined for a task that it, the standing or the day's rounds refuse."""
        policy = self.policy()
        self._stand(received.task.study)
        at = self.clock()
        if reason := policy.find_refusal(received.task, at, self._list_approved(policy)):
            raise TaskDeclined("policy", reason)
        if policy.rounds_per_day is not None and received.task.kind not in SESSION_KINDS:
            today = day_of(at, _zone(policy))
            quota = RoundQuota(self.records)
            if not quota.hold(received.question, policy.rounds_per_day, today):
                raise TaskDeclined(
                    "policy",
                    f"the site's policy refuses: rounds_per_day is {policy.rounds_per_day}, and so many were answered "
                    f"on {today} ({_zone(policy)}); ask again tomorrow",
                )
            quota.add(received.question, today)  # before the work: a refusal that depends on lesions is counted too
        return policy

    def release(self, received: ReceivedTask) -> None:
        """Raises TaskDeclined where the site was paused or withdrawn, or its policy changed, while it worked."""
        policy = self.policy()
        self._stand(received.task.study)
        if reason := policy.find_refusal(received.task, None, self._list_approved(policy)):
            raise TaskDeclined("policy", reason)

    def _list_approved(self, policy: Policy) -> Collection[str]:
        """The plans that are approved at this moment. Raises TaskDeclined where that cannot be told."""
        if policy.studies != APPROVED:
            return ()
        try:
            return read_approved(self.records).in_force()
        except ExpectedError as error:
            self.log(str(error))
            raise TaskDeclined("policy", "this site cannot tell what is approved, so nothing is answered") from None

    def _stand(self, study: str) -> None:
        try:
            standing = read_participation(self.records)
        except ExpectedError as error:
            self.log(str(error))
            raise TaskDeclined(
                "policy", "this site cannot tell whether it takes part, so nothing is answered"
            ) from None
        if standing.has_left(study):
            forget(self.memory.folder, study)  # what work under way kept after the withdrawal
        if reason := standing.refuses(study):
            raise TaskDeclined("policy", reason)


def _zone(policy: Policy) -> str:
    return policy.hours.zone if policy.hours else "UTC"


def _describe_change(edition: PolicyVersion) -> str:
    if edition.faults is not None:
        return f"policy.yaml has a fault, every task is refused: {edition.faults}"
    return f"policy.yaml {edition.digest[:12]} is in force"
