"""Enrolment of sites: check a request, issue a kit, renew it, or revoke the site's keys."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from ceus_models.pki.certificates import pem_of
from ceus_models.pki.enrolment import (
    CLOCK_TOLERANCE,
    COORDINATOR_ROLE,
    KIT,
    PREVIOUS_ROLE,
    REQUEST,
    REQUEST_LIFE,
    SITE_ROLE,
    Kit,
    Request,
    Versions,
    as_content,
    content_of,
)
from ceus_models.pki.keys import PublicKey, fingerprint, read_public
from ceus_models.pki.signed_documents import Document, read_document, signed
from ceus_models.runtime.atomic_files import PUBLIC, write_whole
from ceus_models.runtime.errors import ExpectedError
from server.federation.certificate_authority import Authority, id_of
from server.federation.federation_file import Federation
from server.federation.site_register import Entry, Register
from server.run_folder.paths import FEDERATION_FILE, Home
from server.study.plan import load_plan

_BOTH_KEYS = timedelta(days=14)
"""A replaced key remains valid for this time, so that the site can change keys between two rounds."""


class EnrolmentFault(ExpectedError):
    """A request is refused; the message has the cause and the fix."""


@dataclass(frozen=True, eq=False)
class Office:
    """What enrolment needs: the federation and its CA. versions: of this installation."""

    home: Home
    federation: Federation
    authority: Authority
    versions: Versions
    now: datetime

    @property
    def identity(self) -> str:
        """The federation's id."""
        return id_of(self.federation.name, self.authority.certificate)


@dataclass(frozen=True, eq=False)
class Asked:
    """A request with a valid proof of possession of its key. key: the site's public key."""

    request: Request
    key: PublicKey
    document: Document

    @property
    def mark(self) -> str:
        """The key's fingerprint."""
        return fingerprint(self.key)


def read_request(path: Path) -> Asked:
    """Read a request and verify its signature. Raises DocumentFault, KeyFault or EnrolmentFault."""
    document = read_document(path, REQUEST)
    request = content_of(document, Request, str(path))
    key = read_public(request.public_key)
    if not document.is_by(SITE_ROLE, key):
        raise EnrolmentFault(
            f"{path} must be signed by the key in it, but is not: the file was changed, or its sender does not have "
            "the private key; ask the site to send the original file again"
        )
    return Asked(request, key, document)


def check_request(asked: Asked, office: Office, register: Register) -> None:
    """Raise EnrolmentFault, with the cause and the fix, unless the request is acceptable."""
    request = asked.request
    if request.federation != office.identity:
        raise EnrolmentFault(
            f"the request of {request.site} is for the federation {request.federation}, this one is {office.identity}; "
            f"the site runs `ceus-site keys FOLDER --federation {office.identity}`"
        )
    _check_clock(request, office.now)
    if answered := register.by_nonce(request.nonce):
        raise EnrolmentFault(
            f"this request of {request.site} was answered on {answered.enrolled:%Y-%m-%d}; for another kit run "
            f"`ceus-coordinator renew FOLDER {request.site}`"
        )
    if request.site not in office.federation.sites:
        raise EnrolmentFault(
            f"{request.site} is not among the sites of {FEDERATION_FILE}; if it shall take part, add its name there"
        )
    if why := office.versions.mismatch(request.versions):
        raise EnrolmentFault(f"the coordinator and {request.site} cannot work together: {why}")
    _check_key(asked, register)


def enrol(asked: Asked, office: Office, register: Register) -> Kit:
    """Register the key and build its kit. Raises as `check_request`."""
    check_request(asked, office, register)
    request = asked.request
    old = register.current(request.site)
    if old is not None:
        until = min(old.expires, office.now + _BOTH_KEYS)
        register.change(old.fingerprint, standing="replaced", ended=office.now, expires=until)
    entry = Entry(
        site=request.site,
        public_key=request.public_key,
        fingerprint=asked.mark,
        nonce=request.nonce,
        enrolled=office.now,
        expires=office.now,
        kit=register.kits(request.site),
    )
    register.add(entry)
    return _kit(entry, office, register)


def renew_site(site: str, office: Office, register: Register) -> Kit:
    """Build a new kit, with a new validity, for the enrolled key. Raises EnrolmentFault."""
    entry = register.current(site)
    if entry is None:
        raise EnrolmentFault(f"{site} is not enrolled, so there is nothing to renew; enrol a request of it")
    if entry.expires < office.now:
        raise EnrolmentFault(
            f"the certificate of {site} expired on {entry.expires:%Y-%m-%d}, and Flower takes no key again that was "
            "shut out; the site runs `ceus-site keys FOLDER --renew` and sends the new request"
        )
    return _kit(entry, office, register)


def revoke(site: str, reason: str, register: Register, now: datetime) -> int:
    """Revoke all keys of a site; their number. Raises EnrolmentFault if it has no valid key."""
    alive = [e for e in register.entries if e.site == site and e.standing != "revoked"]
    if not alive:
        raise EnrolmentFault(f"{site} has no key to revoke; `ceus-coordinator status` shows who is enrolled")
    for entry in alive:
        register.change(entry.fingerprint, standing="revoked", ended=now, reason=reason)
    return len(alive)


def write_kit(kit: Kit, office: Office) -> Path:
    """Write the kit as a file, signed by the CA's key. Raises OSError."""
    path = office.home.kit(kit.site)
    write_whole(path, signed(KIT, as_content(kit), {COORDINATOR_ROLE: office.authority.key}), PUBLIC)
    return path


def _check_clock(request: Request, now: datetime) -> None:
    if request.made > now + CLOCK_TOLERANCE:
        ahead = round((request.made - now).total_seconds() / 60)
        raise EnrolmentFault(
            f"the request of {request.site} was made {ahead} min in the future: the site's clock is ahead, or this "
            "machine's is behind. Set both by NTP (`timedatectl set-ntp true`); the site then makes the request again"
        )
    if request.made < now - REQUEST_LIFE:
        raise EnrolmentFault(
            f"the request of {request.site} is of {request.made:%Y-%m-%d} and holds for {REQUEST_LIFE.days} days: the "
            "site makes it again with `ceus-site keys`; if it is new, set both clocks by NTP"
        )


def _check_key(asked: Asked, register: Register) -> None:
    site = asked.request.site
    known = register.by_key(asked.mark)
    if known is not None and known.standing == "revoked":
        raise EnrolmentFault(
            f"the key {asked.mark} was revoked on {known.ended:%Y-%m-%d}; the site makes a new one with "
            "`ceus-site keys FOLDER --renew`"
        )
    if known is not None:
        raise EnrolmentFault(
            f"the key {asked.mark} is enrolled as {known.site} already; for a new kit run `ceus-coordinator renew "
            f"FOLDER {known.site}`; another site makes a key of its own, copied folders do not work"
        )
    old = register.current(site)
    if old is None:
        return
    request = asked.request
    same = request.previous == old.fingerprint
    if not same or not asked.document.is_by(PREVIOUS_ROLE, read_public(old.public_key)):
        raise EnrolmentFault(
            f"{site} is enrolled with the key {old.fingerprint}, and the request is not signed by it: a new key of the "
            f"same site comes from `ceus-site keys FOLDER --renew`. If the site lost its key, make sure by telephone "
            f"and run `ceus-coordinator revoke FOLDER {site}` first"
        )


def _kit(entry: Entry, office: Office, register: Register) -> Kit:
    federation, now = office.federation, office.now
    key = read_public(entry.public_key)
    certificate = office.authority.site(key, entry.site, now, timedelta(days=federation.site_days))
    number, expires = entry.kit + 1, certificate.not_valid_after_utc
    register.change(entry.fingerprint, kit=number, expires=expires)
    bundle = hashlib.sha256(_content(office.home.bundle)).hexdigest()
    plan = load_plan(office.home.folder / federation.plan)
    return Kit(
        federation=office.identity,
        site=entry.site,
        number=number,
        nonce=entry.nonce,
        public_key=entry.public_key,
        made=now,
        expires=expires,
        address=federation.address,
        ca_certificate=pem_of(office.authority.certificate).decode(),
        site_certificate=pem_of(certificate).decode(),
        plan=plan.name,
        plan_digest=plan.digest(),
        bundle=bundle,
        versions=office.versions,
        instructions=_instructions(entry.site, federation, bundle, expires),
    )


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        raise EnrolmentFault(f"there is no bundle yet; run `ceus-coordinator init` first: {path}") from None


def _instructions(site: str, federation: Federation, bundle: str, expires: datetime) -> tuple[str, ...]:
    return (
        f"This is the kit of {site}. It holds no secret; the private key is on your machine alone.",
        f"1. Put it beside the site's folder and run: ceus-site join FOLDER {site}.kit.json",
        "2. Run: ceus-site approve FOLDER bundle.fab (the file that came with this kit). It shows what is in it, which "
        f"is settings and no code. Its SHA-256 is {bundle}",
        f"3. Let the machine reach {federation.address} (TCP, outbound only). No port of yours is opened.",
        "4. Run: ceus-site serve FOLDER",
        f"The kit holds until {expires:%Y-%m-%d}; a new one comes before that. Joining again stops nothing.",
    )
