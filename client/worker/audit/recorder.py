"""What the audit says of a site's work: every task, every answer before it leaves, every refusal."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ceus_models.plan.answers.change_grid import restore_changes
from ceus_models.protocol.audit_mark import AuditMark
from ceus_models.protocol.message_ids import ReceivedTask, compute_content_id
from ceus_models.protocol.messages import Refusal, Task, Update
from ceus_models.protocol.state import State, digest, norm
from client.policy.policy_file import PolicyVersion, policy_values
from client.worker.audit.log import Audit, AuditError, Entry, Head, entries, read_head
from client.worker.audit.verify import verify

NO_PRIVACY = "none"


@dataclass
class AuditRecorder:
    """Writes to an audit. layouts: name and shape lists that it holds already · policy_digest: the last one audited."""

    audit: Audit
    layouts: set[str] = field(default_factory=set)
    policy_digest: str | None = None

    def record_start(self, **versions: str) -> None:
        """The worker begins."""
        self.audit.append("start", **versions)

    def record_stop(self) -> None:
        """The worker ends, as it was told to."""
        self.audit.append("stop")

    def policy(self, edition: PolicyVersion) -> None:
        """A policy that differs from the last one written down: its digest, and all its settings or its faults."""
        if edition.digest == self.policy_digest:
            return
        faults = len(edition.faults.faults) if edition.faults else 0
        values = None if edition.policy is None else policy_values(edition.policy)
        self.audit.append("policy", digest=edition.digest, faults=faults, values=values)
        self.policy_digest = edition.digest

    def record_task(self, received: ReceivedTask) -> None:
        """A task that the site begins to work on."""
        message, size = received.content
        self.audit.append("task", **_of(received), **_describe_task(received.task), digest=message, bytes=size)

    def record_masked(self, received: ReceivedTask, norms: Mapping[str, float], **groups: Sequence[str]) -> None:
        """What a masked answer hides: the true norms of changes, and the groups that were scaled down or dropped."""
        found = {net: length if math.isfinite(length) else None for net, length in norms.items()}
        self.audit.append(
            "masked", **_of(received), norms=found, **{name: list(names) for name, names in groups.items()}
        )

    def mark(self, restored: str = "", machine: str = "") -> AuditMark:
        """Where the audit stands.

        restored: hash of the entry in which the hospital said last that it came back · machine: id of this one.
        """
        head = read_head(self.audit.folder) or Head()
        return AuditMark(head.number, head.hash, restored, machine)

    def record_answer(self, received: ReceivedTask | None, answer: Update | Refusal, index: str = "") -> None:
        """An answer, before it leaves.

        received: None for a refusal of what was no task: bytes that cannot be read, a bundle that is not approved ·
        index: digest of the index that it is made from, "" where lesions are not looked at, or never change.
        """
        asked = {} if received is None else _of(received)
        if isinstance(answer, Refusal):
            self.audit.append("refusal", **asked, code=answer.code, reason=answer.reason)
            return
        message, size = compute_content_id(answer)
        layout = self._layout(answer.sums)
        self.audit.append(
            "answer",
            **asked,
            digest=message,
            bytes=size,
            weight=answer.weight,
            spent=answer.spent,
            privacy=NO_PRIVACY if received is None else received.task.level,
            layout=layout,
            groups=_measure_groups(received, answer.sums),
            **({"index": index} if index else {}),
        )

    def _layout(self, sums: State) -> str:
        """The id of a list of names, dtypes and shapes; the list itself is written once."""
        groups = {
            group: {name: f"{str(t.dtype).removeprefix('torch.')}{list(t.shape)}" for name, t in members.items()}
            for group, members in _group_sums(sums).items()
        }
        layout = hashlib.sha256(json.dumps(groups, sort_keys=True).encode()).hexdigest()[:16]
        if layout not in self.layouts:
            self.audit.append("layout", layout=layout, groups=groups)
            self.layouts.add(layout)
        return layout


def open_recorder(audit: Audit) -> AuditRecorder:
    """The trail of an audit, after it was verified.

    Raises AuditError where the audit was changed: the hospital must look at it before anything leaves again.
    """
    verdict = verify(audit.folder)
    if not verdict.ok:
        raise AuditError(
            f"the audit was changed: {verdict.findings[0]}. `ceus-site audit verify` tells all of it; keep the files "
            "as evidence under other names, then start the worker again: it begins a new audit, and `ceus-site "
            "restored` says so"
        )
    trail = AuditRecorder(audit)
    for entry in entries(audit.folder):
        _remember(trail, entry)
    return trail


def _remember(trail: AuditRecorder, entry: Entry) -> None:
    if entry["kind"] == "layout":
        trail.layouts.add(entry["layout"])
    if entry["kind"] == "policy":
        trail.policy_digest = entry["digest"]


def _of(received: ReceivedTask) -> dict[str, Any]:
    task = received.task
    return {"task": received.id, "study": task.study, "stage": task.stage, "round": task.round, "asked": task.kind}


def _describe_task(task: Task) -> dict[str, Any]:
    return {
        "seed": task.seed,
        "nets": list(task.nets),
        "cohorts": list(task.cohorts),
        "rule": None if task.rule is None else dataclasses.asdict(task.rule),
        "recipe": None if task.recipe is None else dataclasses.asdict(task.recipe),
        "level": task.level,
        "attempt": task.attempt,
        "replicates": task.replicates,
        "tensors": len(task.inputs),
    }


def _group_sums(sums: State) -> Mapping[str, State]:
    """Sums by what stands before the last bar of their names: a net, a cohort, or a net in a cohort."""
    groups: dict[str, dict[str, Any]] = {}
    for name, tensor in sums.items():
        group, _, member = name.rpartition("|")
        groups.setdefault(group, {})[member] = tensor
    return groups


def _measure_groups(received: ReceivedTask | None, sums: State) -> dict[str, dict[str, Any]]:
    """The figures of each group; the norm of a change in few bits is that of the numbers that it stands for."""
    task = received.task if received else None
    seen = _group_sums(restore_changes(sums, task) if task and task.session is None else sums)
    return {name: _measure_group(group, seen[name]) for name, group in _group_sums(sums).items()}


def _measure_group(sums: State, seen: State) -> dict[str, Any]:
    """The size and SHA-256 of a group, and the Euclidean norm of its floating sums but for weight and loss (#…)."""
    length = norm({name: tensor for name, tensor in seen.items() if not name.startswith("#")})
    return {
        "tensors": len(sums),
        "bytes": sum(tensor.numel() * tensor.element_size() for tensor in sums.values()),
        "digest": digest(sums),
        "norm": float(f"{length:.6g}") if math.isfinite(length) else str(length),
    }
