"""What may run here, for a person: approved studies, what a bundle that waits asks and changes, and alarms."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ceus_models.pki.enrolment import Kit
from ceus_models.plan.words.outline import read_outline
from ceus_models.plan.words.plan_text import PlanText, describe_plan
from ceus_models.runtime.errors import ExpectedError
from client.courier.approval import Approval, approvals, in_force, reviewers_wanted
from client.courier.fab import Contents, find_trust
from client.courier.folder import CourierFolder, courier_of
from client.courier.kit import is_ours, kit_of
from client.courier.waiting import Alarm, Found, count_missing, find_bundles, read_alarm
from client.policy.approved_studies import read_plan_values
from client.service.approving import Review, review_bundle


@dataclass(frozen=True)
class Waiting:
    """A bundle of the coordinator that does not run yet.

    Args:
        missing: how many must still approve it.
        review: its plan in words; None where this version cannot read it, for the reason in `fault`.
    """

    contents: Contents
    refused: bool
    missing: int
    review: Review | None
    fault: str = ""


@dataclass(frozen=True)
class ApprovalState:
    """All of it.

    Args:
        wanted: how many people must approve a bundle.
        running: the SHA-256 of those that run.
        kit: the installed one, as it was verified when it was installed.
        texts: SHA-256 → plan in words of an approved bundle, where it is kept.
        alarm: that nobody has seen.
        foreign: of files that lie here and came from elsewhere.
    """

    wanted: int
    approvals: tuple[Approval, ...]
    running: frozenset[str]
    kit: Kit | None
    texts: dict[str, PlanText]
    bundles: tuple[Waiting, ...]
    alarm: Alarm | None
    foreign: tuple[str, ...]
    faults: tuple[str, ...]


def read_approval_state(folder: Path, records: Path) -> ApprovalState:
    """Read it. Raises ExpectedError where the courier's files cannot be read."""
    courier = open_courier(folder)
    known, running = approvals(courier), frozenset(one.sha256 for one in in_force(courier))
    kit, wanted = kit_of(courier), reviewers_wanted(courier)
    found = find_bundles(courier, folder, find_trust(kit)) if kit else Found((), (), ())
    bundles = tuple(
        _review(courier, records, one.contents, one.refused, count_missing(courier, one.contents.sha256, wanted))
        for one in found.bundles
    )
    texts = {one.sha256: text for one in known if (text := _describe(records, one))}
    alarm = read_alarm(courier)
    return ApprovalState(wanted, known, running, kit, texts, bundles, alarm, found.alarms, found.faults)


def open_courier(folder: Path) -> CourierFolder:
    """The courier's folder. Raises ExpectedError where it is another account's."""
    courier = courier_of(folder)
    if not is_ours(courier):
        raise ExpectedError(
            "the courier's folder is another account's, and this one may not look into it: "
            "its own copy of what was approved is below, in the audit's words"
        )
    return courier


def _review(courier: CourierFolder, records: Path, contents: Contents, refused: bool, missing: int) -> Waiting:
    try:
        return Waiting(contents, refused, missing, review_bundle(courier, records, contents))
    except ExpectedError as error:
        return Waiting(contents, refused, missing, None, str(error))


def _describe(records: Path, approval: Approval) -> PlanText | None:
    values = read_plan_values(records, str(approval.settings.get("plan-digest", "")))
    try:
        return describe_plan(read_outline(values)) if values else None
    except ExpectedError:
        return None
