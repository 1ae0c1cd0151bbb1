"""What the hospital's IT allows to run, and the verdict on every bundle that arrives.

A bundle is judged by the SHA-256 of its bytes before anything looks into it. The file is the hospital's: it should
belong to another user than the courier's, and nobody but its owner may write to it.
"""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from ceus_models.runtime.atomic_files import PUBLIC, write_atomically
from ceus_models.runtime.errors import ExpectedError
from client.courier.fab import PER_RUN, Contents, Setting
from client.courier.folder import CourierFolder

_LONGEST_TEXT = 4096
_MOST_REFUSED = 100


class ApprovalFault(ExpectedError):
    """Approvals that cannot be used; the text says the cause and the remedy."""


class Approval(BaseModel):
    """One bundle that may run.

    Args:
        study: its name, "" in approvals of older versions.
        made: when the coordinator made it.
        free: the settings that a run may set itself; all others stay as they are here.
        by, seconded: the accounts of those who approved it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    sha256: str
    federation: str
    files: Mapping[str, str]
    settings: Mapping[str, Setting]
    free: tuple[str, ...] = PER_RUN
    approved: AwareDatetime
    by: str
    seconded: tuple[str, ...] = ()
    study: str = ""
    made: AwareDatetime | None = None

    @property
    def reviewers(self) -> tuple[str, ...]:
        """All who approved it."""
        return (self.by, *self.seconded)


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    version: Literal[1] = 1
    reviewers: int = Field(1, ge=1, le=9)
    approvals: tuple[Approval, ...] = ()
    refused: tuple[str, ...] = ()


def approvals(courier: CourierFolder) -> tuple[Approval, ...]:
    """All that are written down, oldest first, whoever is still missing.

    Raises ApprovalFault if the file is damaged or open to others.
    """
    return _read(courier).approvals


def in_force(courier: CourierFolder) -> tuple[Approval, ...]:
    """Those with as many reviewers as this site wants. Raises as `approvals`."""
    file = _read(courier)
    return tuple(one for one in file.approvals if len(one.reviewers) >= file.reviewers)


def reviewers_wanted(courier: CourierFolder) -> int:
    """How many people must approve a bundle here. Raises as `approvals`."""
    return _read(courier).reviewers


def want_reviewers(courier: CourierFolder, count: int) -> None:
    """Have so many people approve a bundle, from the next message on. Raises ApprovalFault or OSError."""
    if not 1 <= count <= 9:
        raise ApprovalFault(f"{count} reviewers were asked for; 1 to 9 people may have to approve a bundle")
    _write(courier, _read(courier).model_copy(update={"reviewers": count}))


def _read(courier: CourierFolder) -> _File:
    path = courier.approvals
    if not path.exists():
        return _File()
    try:
        if path.stat().st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise ApprovalFault(
                f"others than its owner may write to {path}; run `chmod go-w` on it, and look what is in it"
            )
        return _File.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        raise ApprovalFault(
            f"the approvals cannot be read: {path}; restore the file, or delete it and approve again"
        ) from None


def approve(courier: CourierFolder, contents: Contents, by: str, now: datetime) -> Approval:
    """Allow a bundle from now on, or as a further reviewer of one that somebody approved.

    Raises ApprovalFault where `by` approved it already and others are missing, OSError.
    """
    file = _read(courier)
    everyone = _with(file, contents.sha256, by)
    made = Approval(
        sha256=contents.sha256,
        federation=contents.study.federation,
        files=contents.files,
        settings=contents.settings,
        approved=now,
        by=everyone[0],
        seconded=everyone[1:],
        study=contents.study.study,
        made=contents.study.made,
    )
    others = tuple(one for one in file.approvals if one.sha256 != contents.sha256)
    refused = tuple(one for one in file.refused if one != contents.sha256)
    _write(courier, file.model_copy(update={"approvals": (*others, made), "refused": refused}))
    return made


def list_reviewers(courier: CourierFolder, sha256: str, by: str) -> tuple[str, ...]:
    """All who will have approved a bundle once `by` does.

    Raises ApprovalFault where `by` approved it already, and somebody else must.
    """
    return _with(_read(courier), sha256, by)


def _with(file: _File, sha256: str, by: str) -> tuple[str, ...]:
    before = next((one for one in file.approvals if one.sha256 == sha256), None)
    known = before.reviewers if before else ()
    if by in known and len(known) < file.reviewers:
        raise ApprovalFault(f"{by} approved this bundle already, and {file.reviewers} people must: let another do it")
    return known if by in known else (*known, by)


def withdraw(courier: CourierFolder, sha256: str) -> Approval:
    """Allow a bundle no longer, by the first digits of its SHA-256. Raises ApprovalFault if no one bundle has them."""
    file = _read(courier)
    found = [one for one in file.approvals if sha256 and one.sha256.startswith(sha256)]
    if len(found) != 1:
        raise ApprovalFault(
            f"{len(found)} approved bundles begin with {sha256[:64]!r}; approved are: {_join_names(file.approvals)}"
        )
    kept = tuple(one for one in file.approvals if one is not found[0])
    _write(courier, _refuse(file, found[0].sha256).model_copy(update={"approvals": kept}))
    return found[0]


def refuse(courier: CourierFolder, sha256: str) -> None:
    """Remember that somebody looked at a bundle and did not want it; it can be approved later all the same."""
    _write(courier, _refuse(_read(courier), sha256))


def list_refused(courier: CourierFolder) -> tuple[str, ...]:
    """The SHA-256 of what was refused or taken back. Raises as `approvals`."""
    return _read(courier).refused


def _refuse(file: _File, sha256: str) -> _File:
    others = tuple(one for one in file.refused if one != sha256)
    return file.model_copy(update={"refused": (*others, sha256)[-_MOST_REFUSED:]})


def list_setting_changes(old: Approval, new: Contents) -> list[str]:
    """Which run settings a bundle changes against an approved one, a line each, but for its plan's digest."""
    return list(_list_changes(old.settings, new.settings))


def refusal_reason(
    known: tuple[Approval, ...], bundle: bytes, federation: str, settings: Mapping[str, Setting]
) -> str | None:
    """Why a bundle does not run with these settings, in words for the coordinator; None where it does.

    known: the approvals that are in force.
    """
    sha = hashlib.sha256(bundle).hexdigest()
    found = next((one for one in known if one.sha256 == sha), None)
    if found is None:
        return f"bundle {sha[:16]} is not approved at this site; its IT runs `ceus-site approve` on the right one"
    if found.federation != federation:
        return f"bundle {sha[:16]} was approved for another federation than this site's"
    beyond = next(_beyond(found, settings), None)
    return f"run setting {beyond}; approved is what `ceus-site approve` showed" if beyond else None


def _beyond(found: Approval, settings: Mapping[str, Setting]) -> Iterator[str]:
    for name, value in sorted(settings.items()):
        if name not in found.settings:
            yield f"{name[:40]!r} is none of the approved bundle"
        elif type(value) is not type(found.settings[name]):
            yield f"{name!r} has another type than approved"
        elif name not in found.free and value != found.settings[name]:
            yield f"{name!r} differs from the approved one"
        elif isinstance(value, str) and len(value) > _LONGEST_TEXT:
            yield f"{name!r} is longer than {_LONGEST_TEXT} characters"


def _list_changes(old: Mapping[str, Setting], new: Mapping[str, Setting]) -> Iterator[str]:
    for name in sorted({*old, *new} - {"plan-digest", "least-sites"}):  # the plan's own words tell both
        if name not in new:
            yield f"setting {name}: gone (was {old[name]!r})"
        elif name not in old:
            yield f"setting {name}: new, {new[name]!r}"
        elif old[name] != new[name]:
            yield f"setting {name}: {old[name]!r} → {new[name]!r}"


def _join_names(known: tuple[Approval, ...]) -> str:
    return ", ".join(one.sha256[:16] for one in known) or "none"


def _write(courier: CourierFolder, file: _File) -> None:
    write_atomically(courier.approvals, file.model_dump_json(indent=2).encode() + b"\n", PUBLIC)
