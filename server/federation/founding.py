"""`ceus-coordinator init`: set up a federation from its file. A later run keeps the CA and all that is still valid."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509

from ceus_models.pki.certificates import (
    EXPIRY_WARNING,
    Certificate,
    CertificateError,
    check_issued,
    extract_key,
    format_pem,
    parse_certificate,
)
from ceus_models.pki.keys import generate_key
from ceus_models.pki.offered_study import OfferedStudy
from ceus_models.plan.plan import Plan, load_plan
from ceus_models.runtime.atomic_files import PUBLIC, write_atomically
from ceus_models.runtime.errors import ExpectedError, Fault, FaultList
from server.federation.addresses import FormerAddress, describe_move, note_address
from server.federation.certificate_authority import (
    Authority,
    AuthorityError,
    compute_federation_id,
    make_authority,
    open_authority,
    read_ca,
    read_key,
    write_key,
)
from server.federation.federation_file import PLAN_FILE, Federation, load_federation
from server.federation.federation_form import fill_example
from server.federation.nginx_conf import has_ipv6, render_nginx
from server.federation.site_register import read_register
from server.federation.studies import ensure_first_study, write_bundle
from server.run_folder.paths import FEDERATION_FILE, Home
from server.run_folder.studies import find_plan, list_studies
from server.transport.fab import build_study_fab, is_bundle_of, offer_study

LOOPBACK = ("localhost", "127.0.0.1", "::1")
_PRIVATE_FOLDER = 0o700
_SECRET_BYTES = 32


@dataclass(frozen=True)
class SetupResult:
    """The result of `init`. identity: the federation's id; told: what was made, renewed or kept, one line each."""

    identity: str
    told: tuple[str, ...]


@dataclass(frozen=True)
class _Door:
    """The reverse proxy: what the federation says of it, and the former addresses at which it still answers."""

    federation: Federation
    former: tuple[FormerAddress, ...]

    @property
    def hosts(self) -> tuple[str, ...]:
        return list_hosts(self.federation, self.former)


def write_example(folder: Path, filled: Mapping[str, str] | None = None) -> bool:
    """Write federation.yaml, the example with `filled` in it, into a folder without one; whether it was written."""
    home = Home(folder)
    if home.federation.exists():
        return False
    try:
        write_atomically(home.federation, fill_example(filled or {}), PUBLIC)
    except OSError as error:
        raise ExpectedError(f"{folder} cannot be written ({error.strerror}); name a folder of this user") from None
    return True


def place_plan(folder: Path, plan: Path) -> None:
    """Copy a plan without faults to where `init` looks for it. Raises ExpectedError where another one is there."""
    load_plan(plan)
    place, content = Home(folder).folder / PLAN_FILE, plan.read_bytes()
    if place.exists() and place.read_bytes() != content:
        raise ExpectedError(
            f"expected no {PLAN_FILE} in {folder}, found another plan; edit that one, or leave out --plan"
        )
    write_atomically(place, content, PUBLIC)


def set_up_federation(folder: Path, passphrase: bytes | None, now: datetime) -> SetupResult:
    """Create what is missing, renew what no longer matches federation.yaml, keep the rest.

    Raises FaultList with all faults of federation.yaml and of the plan, AuthorityError or OSError.
    """
    home = Home(folder.resolve())
    federation, first = _settings(home)
    steps: list[str] = []
    opened: Callable[[], Authority]
    if _is_new(home):
        authority = make_authority(home, federation.name, passphrase, now)
        steps.append(f"made the CA: {home.ca}. Keep a copy of {home.ca.parent} off this machine")
        certificate, opened = authority.certificate, lambda: authority
    else:
        certificate, opened = read_ca(home, now), lambda: open_authority(home, passphrase, now)
        steps.append(f"kept the CA: {home.ca}")
    _check_name(certificate, federation)
    identity = compute_federation_id(federation.name, certificate)
    register = read_register(home)
    former = note_address(home, federation, register, now)
    door = _Door(federation, former)
    steps += _issue_certificates(home, door, certificate, opened, now)
    steps += _secret(home)
    if first:
        ensure_first_study(home, federation, first)
    plans = {study: load_plan(find_plan(study)) for study in list_studies(home)}
    for study, plan in plans.items():
        offered = offer_study(plan, study.name, identity, now)
        steps += write_bundle(study, _build(study.bundle, plan, offered, certificate, opened))
    steps += _front(home, door)
    steps += [f"kept the former address {one.address} open until {one.until:%Y-%m-%d}" for one in former]
    steps += describe_move(home, federation, register, now)
    for study, plan in plans.items():
        try:
            plan.check_joinable(len(federation.sites), f"in {FEDERATION_FILE}")
        except ExpectedError as error:
            steps.append(f"before the run of {study.name}: {error}")
    return SetupResult(identity, tuple(steps))


def renew_front(home: Home, federation: Federation, passphrase: bytes | None, now: datetime) -> Certificate:
    """Create a new key and certificate for the reverse proxy, which can reload them without closing connections."""
    door = _Door(federation, note_address(home, federation, read_register(home), now))
    write_atomically(home.nginx, render_nginx(home, federation, door.former).encode(), PUBLIC)
    return _issue_front(home, door, open_authority(home, passphrase, now), now)


def _settings(home: Home) -> tuple[Federation, Plan | None]:
    """The federation and the plan beside it, if there is one; the faults of all plans come together."""
    faults: list[Fault] = []
    first, federation = None, None
    try:
        federation = load_federation(home.federation)
    except FaultList as error:
        faults += error.faults
    beside = home.folder / (federation.plan if federation else "plan.yaml")
    needed = [find_plan(study) for study in list_studies(home)]
    if federation and not home.studies.exists():
        needed.append(beside)
    for path in dict.fromkeys([beside, *needed]):
        try:
            if path in needed or path.exists():
                plan = load_plan(path)
                first = plan if path == beside else first
        except FaultList as error:
            faults += error.faults
    if faults or federation is None:
        raise FaultList(faults)
    return federation, first


def _build(path: Path, plan: Plan, study: OfferedStudy, ca: Certificate, opened: Callable[[], Authority]) -> bytes:
    """The signed bundle; the one at `path` where it offers the same, so that no site must approve it anew."""
    old = path.read_bytes() if path.exists() else b""
    ca_key = extract_key(ca, "the CA's certificate")
    return old if is_bundle_of(old, study, ca_key) else build_study_fab(plan, study, opened().key)


def _is_new(home: Home) -> bool:
    there = [path for path in (home.ca, home.ca_key) if path.exists()]
    if not there and home.sites.exists():
        raise AuthorityError(
            f"sites are enrolled here, but the CA is gone: restore {home.ca.parent} from the backup. A new CA would "
            "make every site's kit invalid, so none is made in its place"
        )
    return not there


def _check_name(ca: Certificate, federation: Federation) -> None:
    named = str(ca.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value)
    if named != f"fedceus {federation.name}"[:64]:
        raise AuthorityError(
            f"{FEDERATION_FILE} says {federation.name}, and the CA here was made as {named!r}: the name stands in "
            "every site's kit, so put the old one back; another federation needs a folder of its own"
        )


def _issue_certificates(
    home: Home, door: _Door, ca: Certificate, opened: Callable[[], Authority], now: datetime
) -> Iterator[str]:
    for folder in (home.ca.parent, home.front.parent, home.superexec_secret.parent):
        folder.mkdir(mode=_PRIVATE_FOLDER, parents=True, exist_ok=True)
        folder.chmod(_PRIVATE_FOLDER)
    if why := find_certificate_fault(home.front, home.front_key, ca, door.hosts, now):
        certificate = _issue_front(home, door, opened(), now)
        yield f"made the front door's certificate ({why}): valid to {certificate.not_valid_after_utc:%Y-%m-%d}"
    else:
        yield "kept the front door's certificate"
    if why := find_certificate_fault(home.superlink, home.superlink_key, ca, LOOPBACK, now):
        key = generate_key()
        life = ca.not_valid_after_utc - now  # nobody outside this machine sees it, so no run stops to renew it
        _write_certificate(home.superlink, opened().server(key.public_key(), LOOPBACK, now, life))
        write_key(home.superlink_key, key)
        yield f"made the SuperLink's certificate ({why}), for this machine only"


def _issue_front(home: Home, door: _Door, authority: Authority, now: datetime) -> Certificate:
    key = generate_key()
    life = timedelta(days=door.federation.server_days)
    certificate = authority.server(key.public_key(), door.hosts, now, life)
    write_key(home.front_key, key)
    _write_certificate(home.front, certificate)
    return certificate


def list_hosts(federation: Federation, former: Sequence[FormerAddress] = ()) -> tuple[str, ...]:
    """The names and addresses under which sites reach the reverse proxy."""
    return tuple(dict.fromkeys((federation.host, *federation.names, *(one.host for one in former))))


def find_certificate_fault(path: Path, key: Path, ca: Certificate, hosts: Sequence[str], now: datetime) -> str | None:
    """Find why a server's certificate must be renewed; None if it is valid."""
    if not path.exists() or not key.exists():
        return "there was none"
    try:
        certificate = parse_certificate(path.read_bytes(), path.name)
        check_issued(certificate, ca, path.name)
    except CertificateError:
        return "the old one was damaged or of another CA"
    if certificate.public_key() != read_key(key):
        return "the old one was for another key"
    if certificate.not_valid_after_utc - EXPIRY_WARNING <= now:
        return "the old one was about to expire"
    named = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return None if {str(one.value) for one in named} == set(hosts) else "its names have changed"


def _secret(home: Home) -> Iterator[str]:
    if not home.superexec_secret.exists():
        write_atomically(home.superexec_secret, secrets.token_bytes(_SECRET_BYTES))
        yield "made the secret by which processes of this machine take the SuperLink's tasks"


def _front(home: Home, door: _Door) -> Iterator[str]:
    home.front_run.mkdir(parents=True, exist_ok=True)
    write_atomically(home.nginx, render_nginx(home, door.federation, door.former).encode(), PUBLIC)
    families = "IPv4 and IPv6" if has_ipv6() else "IPv4 alone: this machine's kernel has no IPv6"
    yield f"made the front door's configuration: {home.nginx}; it listens on {families}"


def _write_certificate(path: Path, certificate: Certificate) -> None:
    write_atomically(path, format_pem(certificate), PUBLIC)
