"""The register of sites and their keys with dates of validity: one JSON file, written atomically under a lock."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from ceus_models.pki.enrolment import Hex, Name, utc_now
from ceus_models.runtime.atomic_files import write_atomically
from ceus_models.runtime.errors import ExpectedError
from ceus_models.runtime.file_locks import hold_lock
from server.run_folder.paths import Home

Standing = Literal["enrolled", "replaced", "revoked"]


class SiteKey(BaseModel):
    """One key of one site.

    nonce: of its request; kit: number of its newest kit; sums_key: its worker's key of secure sums, "" for none.

    A replaced key still works until the site has joined with the new one; a revoked key never works again.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    site: Name
    public_key: str
    fingerprint: str
    nonce: Hex
    enrolled: AwareDatetime
    expires: AwareDatetime
    kit: int
    standing: Standing = "enrolled"
    ended: AwareDatetime | None = None
    reason: str = ""
    sums_key: str = ""

    def works(self, now: datetime) -> bool:
        """Whether the SuperLink should know this key."""
        return self.standing != "revoked" and now <= self.expires


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    version: Literal[1] = 1
    entries: tuple[SiteKey, ...] = ()


@dataclass
class Register:
    """entries: in the order in which they came."""

    entries: tuple[SiteKey, ...]

    def current(self, site: str) -> SiteKey | None:
        """Find the current key of a site."""
        return next((e for e in reversed(self.entries) if e.site == site and e.standing == "enrolled"), None)

    def by_key(self, fingerprint: str) -> SiteKey | None:
        """Find the entry of a key, valid or not."""
        return next((entry for entry in self.entries if entry.fingerprint == fingerprint), None)

    def by_nonce(self, nonce: str) -> SiteKey | None:
        """The entry that a request led to."""
        return next((entry for entry in self.entries if entry.nonce == nonce), None)

    def count_kits(self, site: str) -> int:
        """How many kits this site was sent."""
        return max((entry.kit for entry in self.entries if entry.site == site), default=0)

    def add(self, entry: SiteKey) -> None:
        """Add one key."""
        self.entries = (*self.entries, entry)

    def change(self, fingerprint: str, **changes: object) -> None:
        """Replace fields of one entry."""
        self.entries = tuple(e.model_copy(update=changes) if e.fingerprint == fingerprint else e for e in self.entries)


def read_register(home: Home) -> Register:
    """The register as it is. Raises ExpectedError if it is damaged."""
    if not home.sites.exists():
        return Register(())
    try:
        return Register(_File.model_validate_json(home.sites.read_bytes()).entries)
    except (OSError, ValidationError):
        raise ExpectedError(f"the register of sites is damaged: {home.sites}; restore it from a backup") from None


def count_enrolled(home: Home) -> int:
    """How many sites have a key that works now. Raises ExpectedError for a damaged register."""
    return len({entry.site for entry in read_register(home).entries if entry.works(utc_now())})


@contextmanager
def change_register(home: Home) -> Iterator[Register]:
    """Open the register for changes by one process at a time; saved at the end unless an error occurred."""
    busy = ExpectedError("another command is changing the register of sites; try again when it is done")
    with hold_lock(home.folder / ".sites.lock", busy):
        register = read_register(home)
        before = register.entries
        yield register
        if register.entries != before:
            write_atomically(
                home.sites, _File(entries=register.entries).model_dump_json(indent=2).encode() + os.linesep.encode()
            )
