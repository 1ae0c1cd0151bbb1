"""What may run here, for a person: approved bundles, and what a bundle that waits for approval would change."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from ceus_models.pki.enrolment import KIT, Kit, parse_content
from ceus_models.pki.signed_documents import read_document
from ceus_models.runtime.errors import ExpectedError
from client.courier.approval import Approval, approvals, changes, in_force, reviewers_wanted
from client.courier.fab import contents_of
from client.courier.folder import CourierFolder, courier_of

_BUNDLES = "*.fab"
_LARGEST = 1 << 16


@dataclass(frozen=True)
class Waiting:
    """The kit's bundle, which does not run yet. missing: how many must still approve it · changes: against the last
    that was approved; None where the bundle does not lie here · fault: what is wrong with it · shortage: why its
    rounds have too few sites · least_sites: that are counted in every round.
    """

    sha256: str
    missing: int
    changes: tuple[str, ...] | None = None
    fault: str = ""
    shortage: str = ""
    least_sites: int = 0


@dataclass(frozen=True)
class ApprovalState:
    """running: the SHA-256 of those that run · kit: the installed one, as it was verified when it was installed."""

    wanted: int
    approvals: tuple[Approval, ...]
    running: frozenset[str]
    kit: Kit | None
    waiting: Waiting | None


def read_approval_state(folder: Path) -> ApprovalState:
    """All of it. Raises ExpectedError where the courier's files cannot be read."""
    courier = courier_of(folder)
    if not is_ours(courier):
        raise ExpectedError(
            "the courier's folder is another account's, and this one may not look into it: "
            "its own copy of what was approved is below, in the audit's words"
        )
    known, running = approvals(courier), frozenset(one.sha256 for one in in_force(courier))
    kit, wanted = kit_of(courier), reviewers_wanted(courier)
    waits = kit is not None and kit.bundle not in running
    return ApprovalState(wanted, known, running, kit, _waiting(folder, kit, known, wanted) if kit and waits else None)


def is_ours(courier: CourierFolder) -> bool:
    """Whether this account may look into the courier's folder, or there is none."""
    return not courier.folder.exists() or os.access(courier.folder, os.R_OK | os.X_OK)


def kit_of(courier: CourierFolder) -> Kit | None:
    """The installed kit; None before the site has joined, or where it is not this account's to read."""
    if not is_ours(courier) or not courier.kit.exists():
        return None
    return parse_content(read_document(courier.kit, KIT), Kit, "the installed kit")


def _waiting(folder: Path, kit: Kit, known: tuple[Approval, ...], wanted: int) -> Waiting:
    before = next((one for one in known if one.sha256 == kit.bundle), None)
    missing = wanted - (len(before.reviewers) if before else 0)
    bundle = _find_bundle(folder, kit.bundle)
    if bundle is None:
        return Waiting(kit.bundle, missing)
    try:
        found = contents_of(bundle)
        changed = tuple(changes(known[-1] if known else None, found))
        return Waiting(kit.bundle, missing, changed, shortage=found.shortage, least_sites=found.least_sites)
    except ExpectedError as error:
        return Waiting(kit.bundle, missing, fault=str(error))


def _find_bundle(folder: Path, sha256: str) -> bytes | None:
    """The bundle of that hash, where it was laid beside site.yaml or among the courier's files."""
    for path in (*sorted(folder.glob(_BUNDLES)), *sorted(courier_of(folder).folder.glob(_BUNDLES))):
        if path.is_file() and path.stat().st_size <= _LARGEST:
            content = path.read_bytes()
            if hashlib.sha256(content).hexdigest() == sha256:
                return content
    return None
