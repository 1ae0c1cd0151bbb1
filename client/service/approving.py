"""To approve, refuse and take back a bundle: the steps that the commands and the console's buttons have in common.

What opens the site is in the audit first; the plan lies beside the worker's records before its bundle may run.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from ceus_models.plan.words.outline import parse_values, read_outline
from ceus_models.plan.words.plan_changes import list_plan_changes
from ceus_models.plan.words.plan_text import PlanText, Seconds, describe_plan
from client.courier.approval import (
    Approval,
    ApprovalFault,
    approvals,
    approve,
    list_reviewers,
    list_setting_changes,
    refuse,
    reviewers_wanted,
    want_reviewers,
    withdraw,
)
from client.courier.fab import Contents
from client.courier.folder import CourierFolder
from client.courier.waiting import end_alarm, read_alarm
from client.policy.approved_studies import (
    ApprovedStudy,
    change_approved,
    read_approved,
    read_plan_values,
    write_plan,
)
from client.worker.audit.log import Audit, entries
from client.worker.audit.summary import measure_tasks


@dataclass(frozen=True)
class Review:
    """What a person reads before a decision. changes: against the last approved plan, None where there is none."""

    text: PlanText
    changes: tuple[str, ...] | None


def review_bundle(courier: CourierFolder, records: Path, contents: Contents) -> Review:
    """The plan of a bundle in words. Raises ExpectedError where this version cannot read it."""
    values = parse_values(contents.study.plan)
    text = describe_plan(read_outline(values), _measure(records))
    last = read_approved(records).find_last(contents.study.study)
    before = read_plan_values(records, last) if last else None
    if before is None:
        return Review(text, None)
    known = [one for one in approvals(courier) if one.study == contents.study.study]
    settings = list_setting_changes(known[-1], contents) if known else []
    return Review(text, (*list_plan_changes(before, values), *settings))


def approve_bundle(courier: CourierFolder, records: Path, contents: Contents, by: str, now: datetime) -> Approval:
    """Let a bundle run, or add a reviewer. Raises ExpectedError, and then nothing is opened."""
    study, everyone = contents.study, list_reviewers(courier, contents.sha256, by)
    _write_down(records, "approve", by, name=study.study, study=study.plan_digest, bundle=contents.sha256)
    write_plan(records, study.plan_digest, study.plan)
    entry = ApprovedStudy(
        study=study.study,
        plan_digest=study.plan_digest,
        bundle=contents.sha256,
        reviewers=everyone,
        approved=now,
    )
    wanted = reviewers_wanted(courier)
    change_approved(records, lambda known: known.model_copy(update={"reviewers": wanted}).with_study(entry))
    return approve(courier, contents, by, now)


def refuse_bundle(courier: CourierFolder, records: Path, contents: Contents, by: str) -> None:
    """Remember that somebody did not want a bundle that waits. Nobody outside is told. Raises ExpectedError."""
    study = contents.study
    refuse(courier, contents.sha256)
    _write_down(records, "refuse", by, name=study.study, study=study.plan_digest, bundle=contents.sha256)


def take_back(courier: CourierFolder, records: Path, sha256: str, by: str, now: datetime) -> Approval:
    """Let an approved bundle run no longer, by the first digits of its SHA-256; from the next task on."""
    gone = withdraw(courier, sha256)
    change_approved(records, lambda known: known.without(gone.sha256, now))
    plan = str(gone.settings.get("plan-digest", ""))
    _write_down(records, "disapprove", by, name=gone.study, study=plan, bundle=gone.sha256)
    return gone


def take_back_study(courier: CourierFolder, records: Path, study: str, by: str, now: datetime) -> list[Approval]:
    """Let no bundle of a study run any longer. Raises ApprovalFault where none is approved under that name."""
    known = [one.sha256 for one in approvals(courier) if one.study == study]
    if not known:
        names = ", ".join(sorted({one.study for one in approvals(courier) if one.study})) or "none"
        raise ApprovalFault(f"no study {study!r} is approved here; approved are: {names}")
    return [take_back(courier, records, sha256, by, now) for sha256 in known]


def change_reviewers(courier: CourierFolder, records: Path, count: int, by: str) -> None:
    """Have so many people approve a bundle. Raises ExpectedError."""
    want_reviewers(courier, count)
    change_approved(records, lambda known: known.model_copy(update={"reviewers": count}))
    _write_down(records, "reviewers", by, wanted=count)


def acknowledge_alarm(courier: CourierFolder, records: Path, by: str) -> None:
    """Write down that somebody has seen the alarm, and end it."""
    alarm = read_alarm(courier)
    if alarm:
        _write_down(records, "alarm seen", by, bundle=alarm.sha256, count=alarm.count)
        end_alarm(courier)


def _write_down(records: Path, action: str, by: str, **fields: object) -> None:
    Audit(records).append("approval", action=action, by=by, **fields)


def _measure(records: Path) -> Seconds:
    """What tasks took here before; nothing where the audit cannot be read."""
    try:
        return measure_tasks(entries(records))
    except OSError:
        return {}
