"""Bundles that came by a message and wait for approval, and the alarm of one that came from elsewhere."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from ceus_models.pki.offered_study import OfferedStudy
from ceus_models.runtime.atomic_files import PUBLIC, write_atomically
from client.courier.approval import approvals, in_force, list_refused
from client.courier.fab import LARGEST, BundleFault, Contents, ForeignBundleError, Trust, contents_of
from client.courier.folder import CourierFolder

MOST = 8
"""Bundles that are kept; the oldest goes first."""
_PATTERN = "*.fab"
_MOST_FILES = 50


@dataclass(frozen=True)
class WaitingBundle:
    """A bundle of the coordinator that does not run here yet. refused: whether somebody looked and did not want it."""

    contents: Contents
    refused: bool


@dataclass(frozen=True)
class Found:
    """What lies at a site: each study's latest bundle, newest first; alarms and faults of the others, in words."""

    bundles: tuple[WaitingBundle, ...]
    alarms: tuple[str, ...]
    faults: tuple[str, ...]

    @property
    def waiting(self) -> tuple[WaitingBundle, ...]:
        """Those that nobody refused."""
        return tuple(one for one in self.bundles if not one.refused)


class Alarm(BaseModel):
    """A bundle from elsewhere. count: how many came since somebody last looked."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    at: AwareDatetime
    sha256: str
    said: str
    count: int = 1


def keep_waiting(courier: CourierFolder, bundle: bytes, trust: Trust) -> None:
    """Keep a signed bundle until somebody decides. Raises ForeignBundleError or BundleFault for any other, OSError."""
    contents = contents_of(bundle, trust)
    path = courier.waiting / f"{contents.sha256}.fab"
    if path.exists():
        return
    write_atomically(path, bundle, PUBLIC)
    kept = {one: contents_of(one.read_bytes(), trust).study.made for one in courier.waiting.glob(_PATTERN)}
    for old in sorted(kept, key=lambda one: kept[one])[:-MOST]:
        old.unlink()


def note_alarm(courier: CourierFolder, bundle: bytes, said: str, now: datetime) -> Alarm:
    """Write an alarm down, for `health` and the console. Raises OSError."""
    before = read_alarm(courier)
    count = before.count + 1 if before else 1
    alarm = Alarm(at=now, sha256=hashlib.sha256(bundle).hexdigest(), said=said, count=count)
    write_atomically(courier.alarm, alarm.model_dump_json().encode(), PUBLIC)
    return alarm


def read_alarm(courier: CourierFolder) -> Alarm | None:
    """The alarm that nobody has seen yet; a file that cannot be read is one too."""
    if not courier.alarm.exists():
        return None
    try:
        return Alarm.model_validate_json(courier.alarm.read_bytes())
    except (OSError, ValidationError):
        at = datetime.fromtimestamp(courier.alarm.stat().st_mtime).astimezone()
        return Alarm(at=at, sha256="", said="an alarm was written down that cannot be read; look at the courier's log")


def end_alarm(courier: CourierFolder) -> None:
    """Somebody has seen it."""
    courier.alarm.unlink(missing_ok=True)


def find_bundles(courier: CourierFolder, beside: Path, trust: Trust) -> Found:
    """What lies among the courier's files and in the site's folder, and does not run here.

    Raises ApprovalFault where the approvals cannot be used.
    """
    running, refused = in_force(courier), list_refused(courier)
    known = {one.sha256 for one in running}
    found, alarms, faults = [], [], []
    for name, content in _list_files(courier, beside):
        try:
            found.append(contents_of(content, trust))
        except ForeignBundleError as error:
            alarms.append(f"{name}: {error}")
        except BundleFault as error:
            if hashlib.sha256(content).hexdigest() not in known:
                faults.append(f"{name}: {error}")
    newest: dict[str, datetime] = {}
    for approval in running:
        if approval.made:
            newest[approval.study] = max(approval.made, newest.get(approval.study, approval.made))
    bundles = [one for one in found if one.sha256 not in known and _is_latest(one.study, newest, found)]
    latest = {one.sha256: WaitingBundle(one, one.sha256 in refused) for one in bundles}
    ordered = sorted(latest.values(), key=lambda one: one.contents.study.made, reverse=True)
    return Found(tuple(ordered), tuple(alarms), tuple(faults))


def _is_latest(study: OfferedStudy, approved: dict[str, datetime], found: list[Contents]) -> bool:
    """Whether neither an approved bundle nor another that lies here is a later one of the same study."""
    made = [one.study.made for one in found if one.study.study == study.study]
    return study.made >= max([*made, approved.get(study.study, study.made)])


def count_missing(courier: CourierFolder, sha256: str, wanted: int) -> int:
    """How many people must still approve a bundle. Raises ApprovalFault."""
    before = next((one for one in approvals(courier) if one.sha256 == sha256), None)
    return wanted - (len(before.reviewers) if before else 0)


def _list_files(courier: CourierFolder, beside: Path) -> Iterator[tuple[str, bytes]]:
    """Name and content of each bundle's file; one that is too large is cut, and so refused."""
    for folder in (courier.waiting, courier.folder, beside):
        for path in (one for one in sorted(folder.glob(_PATTERN))[:_MOST_FILES] if one.is_file()):
            with path.open("rb") as file:
                yield path.name, file.read(LARGEST + 1)
