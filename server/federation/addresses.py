"""Addresses of the front door: the present one, and former ones that sites still dial, kept for a time."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from ceus_models.pki.enrolment import KIT
from ceus_models.pki.signed_documents import DocumentError, read_document
from ceus_models.runtime.atomic_files import PUBLIC, write_atomically
from ceus_models.runtime.errors import ExpectedError
from server.federation.federation_file import Addressed, Federation
from server.federation.site_register import Register
from server.run_folder.paths import Home

OVERLAP = timedelta(days=90)
"""A former address stays open so long after the change, and after every kit that replaces one with it."""


class FormerAddress(Addressed):
    """An address that was replaced. until: when it is given up."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    until: AwareDatetime


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    version: Literal[1] = 1
    current: str = ""
    former: tuple[FormerAddress, ...] = ()


def read_former(home: Home, federation: Federation, now: datetime) -> tuple[FormerAddress, ...]:
    """The former addresses that still hold. Raises ExpectedError for a damaged file."""
    return tuple(one for one in _read(home).former if one.until > now and one.address != federation.address)


def note_address(home: Home, federation: Federation, register: Register, now: datetime) -> tuple[FormerAddress, ...]:
    """Write down the present address, and keep those that it and newer kits replace; the former ones that hold.

    Raises ExpectedError for a damaged file, OSError.
    """
    file = _read(home)
    kept = {one.address: one.until for one in file.former}
    replaced = {file.current, *find_stale_kits(home, federation, register, now).values()} - {"", federation.address}
    for address in replaced:
        kept[address] = max(kept.get(address, now), now + OVERLAP)
    former = tuple(FormerAddress(address=address, until=until) for address, until in kept.items() if until > now)
    former = tuple(one for one in former if one.address != federation.address)
    made = _File(current=federation.address, former=former)
    if made != file:
        write_atomically(home.addresses, made.model_dump_json(indent=2).encode() + b"\n", PUBLIC)
    return former


def find_stale_kits(home: Home, federation: Federation, register: Register, now: datetime) -> dict[str, str]:
    """Site → the address in its newest kit, where that is not the present one."""
    sites = {entry.site for entry in register.entries if entry.works(now)}
    found = {site: read_kit_address(home, site) for site in sorted(sites)}
    return {site: address for site, address in found.items() if address not in ("", federation.address)}


def read_kit_address(home: Home, site: str) -> str:
    """The address in a site's newest kit; "" without a kit here."""
    try:
        return str(read_document(home.kit(site), KIT).content.get("address", ""))
    except DocumentError:
        return ""


def describe_move(home: Home, federation: Federation, register: Register, now: datetime) -> list[str]:
    """What a changed address asks for, one line each; none where every kit has the present one."""
    stale, former = find_stale_kits(home, federation, register, now), read_former(home, federation, now)
    if not stale:
        return []
    until = {one.address: f"{one.until:%Y-%m-%d}" for one in former}
    return [
        f"{site} was sent a kit with {address}, which holds until {until.get(address, 'now')}: run "
        f"`ceus-coordinator renew` and send it the new kit"
        for site, address in stale.items()
    ]


def _read(home: Home) -> _File:
    try:
        return _File.model_validate_json(home.addresses.read_bytes())
    except FileNotFoundError:
        return _File()
    except (OSError, ValidationError):
        raise ExpectedError(
            f"{home.addresses} is damaged: restore it, or delete it; then run `ceus-coordinator init`, which keeps the "
            "addresses in the kits that were sent"
        ) from None
