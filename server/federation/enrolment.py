"""Enrolment of sites: check a request, issue a kit, renew it, or revoke the site's keys."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from ceus_models.pki.certificates import format_pem
from ceus_models.pki.enrolment import (
    CLOCK_TOLERANCE,
    COORDINATOR_ROLE,
    KIT,
    PREVIOUS_ROLE,
    REQUEST,
    REQUEST_LIFE,
    SITE_ROLE,
    EnrolmentRequest,
    Kit,
    Versions,
    format_content,
    parse_content,
)
from ceus_models.pki.keys import PublicKey, fingerprint, parse_public_key
from ceus_models.pki.signed_documents import Document, read_document, sign_document
from ceus_models.plan.plan import load_plan
from ceus_models.runtime.atomic_files import PUBLIC, write_atomically
from ceus_models.runtime.errors import ExpectedError
from server.federation.certificate_authority import Authority, compute_federation_id
from server.federation.federation_file import Federation
from server.federation.site_register import Register, SiteKey
from server.run_folder.paths import FEDERATION_FILE, Home
from server.run_folder.studies import find_plan, list_studies

_KEY_OVERLAP = timedelta(days=14)
"""A replaced key remains valid for this time, so that the site can change keys between two rounds."""


class EnrolmentError(ExpectedError):
    """A request is refused; the message has the cause and the fix."""


@dataclass(frozen=True, eq=False)
class EnrolmentService:
    """What enrolment needs: the federation and its CA. versions: of this installation."""

    home: Home
    federation: Federation
    authority: Authority
    versions: Versions
    now: datetime

    @property
    def identity(self) -> str:
        """The federation's id."""
        return compute_federation_id(self.federation.name, self.authority.certificate)


@dataclass(frozen=True, eq=False)
class VerifiedRequest:
    """A request with a valid proof of possession of its key. key: the site's public key."""

    request: EnrolmentRequest
    key: PublicKey
    document: Document

    @property
    def fingerprint(self) -> str:
        """The key's fingerprint."""
        return fingerprint(self.key)


def read_request(path: Path) -> VerifiedRequest:
    """Read a request and verify its signature. Raises DocumentError, KeyFileError or EnrolmentError."""
    document = read_document(path, REQUEST)
    request = parse_content(document, EnrolmentRequest, str(path))
    key = parse_public_key(request.public_key)
    if not document.is_signed_by(SITE_ROLE, key):
        raise EnrolmentError(
            f"{path} must be signed by the key in it, but is not: the file was changed, or its sender does not have "
            "the private key; ask the site to send the original file again"
        )
    return VerifiedRequest(request, key, document)


def check_request(asked: VerifiedRequest, office: EnrolmentService, register: Register) -> None:
    """Raise EnrolmentError, with the cause and the fix, unless the request is acceptable."""
    request = asked.request
    if request.federation != office.identity:
        raise EnrolmentError(
            f"the request of {request.site} is for the federation {request.federation}, this one is {office.identity}; "
            f"the site runs `ceus-site keys FOLDER --federation {office.identity}`"
        )
    _check_clock(request, office.now)
    if answered := register.by_nonce(request.nonce):
        raise EnrolmentError(
            f"this request of {request.site} was answered on {answered.enrolled:%Y-%m-%d}; for another kit run "
            f"`ceus-coordinator renew FOLDER {request.site}`"
        )
    if request.site not in office.federation.sites:
        raise EnrolmentError(
            f"{request.site} is not among the sites of {FEDERATION_FILE}; if it shall take part, add its name there"
        )
    if why := office.versions.find_mismatch(request.versions):
        raise EnrolmentError(f"the coordinator and {request.site} cannot work together: {why}")
    _check_key(asked, register)


def enrol(asked: VerifiedRequest, office: EnrolmentService, register: Register) -> Kit:
    """Register the key and build its kit. Raises as `check_request`."""
    check_request(asked, office, register)
    request = asked.request
    old = register.current(request.site)
    if old is not None:
        until = min(old.expires, office.now + _KEY_OVERLAP)
        register.change(old.fingerprint, standing="replaced", ended=office.now, expires=until)
    entry = SiteKey(
        site=request.site,
        public_key=request.public_key,
        fingerprint=asked.fingerprint,
        sums_key=request.sums_key or "",
        nonce=request.nonce,
        enrolled=office.now,
        expires=office.now,
        kit=register.count_kits(request.site),
    )
    register.add(entry)
    return _kit(entry, office, register)


def renew_site(site: str, office: EnrolmentService, register: Register) -> Kit:
    """Build a new kit, with a new validity, for the enrolled key. Raises EnrolmentError."""
    entry = register.current(site)
    if entry is None:
        raise EnrolmentError(f"{site} is not enrolled, so there is nothing to renew; enrol a request of it")
    if entry.expires < office.now:
        raise EnrolmentError(
            f"the certificate of {site} expired on {entry.expires:%Y-%m-%d}, and Flower takes no key again that was "
            "shut out; the site runs `ceus-site keys FOLDER --renew` and sends the new request"
        )
    return _kit(entry, office, register)


def revoke(site: str, reason: str, register: Register, now: datetime) -> int:
    """Revoke all keys of a site; their number. Raises EnrolmentError if it has no valid key."""
    alive = [e for e in register.entries if e.site == site and e.standing != "revoked"]
    if not alive:
        raise EnrolmentError(f"{site} has no key to revoke; `ceus-coordinator status` shows who is enrolled")
    for entry in alive:
        register.change(entry.fingerprint, standing="revoked", ended=now, reason=reason)
    return len(alive)


def write_kit(kit: Kit, office: EnrolmentService) -> Path:
    """Write the kit as a file, signed by the CA's key. Raises OSError."""
    path = office.home.kit(kit.site)
    write_atomically(path, sign_document(KIT, format_content(kit), {COORDINATOR_ROLE: office.authority.key}), PUBLIC)
    return path


def _check_clock(request: EnrolmentRequest, now: datetime) -> None:
    if request.made > now + CLOCK_TOLERANCE:
        ahead = round((request.made - now).total_seconds() / 60)
        raise EnrolmentError(
            f"the request of {request.site} was made {ahead} min in the future: the site's clock is ahead, or this "
            "machine's is behind. Set both by NTP (`timedatectl set-ntp true`); the site then makes the request again"
        )
    if request.made < now - REQUEST_LIFE:
        raise EnrolmentError(
            f"the request of {request.site} is of {request.made:%Y-%m-%d} and holds for {REQUEST_LIFE.days} days: the "
            "site makes it again with `ceus-site keys`; if it is new, set both clocks by NTP"
        )


def _check_key(asked: VerifiedRequest, register: Register) -> None:
    site = asked.request.site
    known = register.by_key(asked.fingerprint)
    if known is not None and known.standing == "revoked":
        raise EnrolmentError(
            f"the key {asked.fingerprint} was revoked on {known.ended:%Y-%m-%d}; the site makes a new one with "
            "`ceus-site keys FOLDER --renew`"
        )
    if known is not None:
        raise EnrolmentError(
            f"the key {asked.fingerprint} is enrolled as {known.site} already; for a new kit run `ceus-coordinator "
            f"renew "
            f"FOLDER {known.site}`; another site makes a key of its own, copied folders do not work"
        )
    old = register.current(site)
    if old is None:
        return
    request = asked.request
    same = request.previous == old.fingerprint
    if not same or not asked.document.is_signed_by(PREVIOUS_ROLE, parse_public_key(old.public_key)):
        raise EnrolmentError(
            f"{site} is enrolled with the key {old.fingerprint}, and the request is not signed by it: a new key of the "
            f"same site comes from `ceus-site keys FOLDER --renew`. If the site lost its key, make sure by telephone "
            f"and run `ceus-coordinator revoke FOLDER {site}` first"
        )


def _kit(entry: SiteKey, office: EnrolmentService, register: Register) -> Kit:
    federation, now = office.federation, office.now
    key = parse_public_key(entry.public_key)
    certificate = office.authority.site(key, entry.site, now, timedelta(days=federation.site_days))
    number, expires = entry.kit + 1, certificate.not_valid_after_utc
    register.change(entry.fingerprint, kit=number, expires=expires)
    study = list_studies(office.home)[0]
    bundle = hashlib.sha256(_content(study.bundle)).hexdigest()
    plan = load_plan(find_plan(study))
    return Kit(
        federation=office.identity,
        site=entry.site,
        number=number,
        nonce=entry.nonce,
        public_key=entry.public_key,
        made=now,
        expires=expires,
        address=federation.address,
        ca_certificate=format_pem(office.authority.certificate).decode(),
        site_certificate=format_pem(certificate).decode(),
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
        raise EnrolmentError(f"there is no bundle yet; run `ceus-coordinator init` first: {path}") from None


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
