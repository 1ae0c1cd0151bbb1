"""Validity of all certificates and sites: expiry dates, and what to do about them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path

from ceus_models.pki.certificates import EXPIRY_WARNING, parse_certificate
from server.federation.addresses import find_stale_kits, read_former
from server.federation.certificate_authority import compute_federation_id, read_ca
from server.federation.federation_file import Federation
from server.federation.site_register import Register, SiteKey
from server.run_folder.paths import Home


@dataclass(frozen=True)
class Line:
    """One certificate or site. standing: ok, soon (expires within 30 days), expired, moved (its kit
    has a former address), revoked, unlisted or absent.
    """

    name: str
    standing: str
    fingerprint: str
    expires: str
    days_left: int | None
    remedy: str


@dataclass(frozen=True)
class Validity:
    """Validity of a federation.

    Args:
        identity: the federation's id.
        servers: the CA and both servers.
        sites: all that may be, or were, enrolled.
    """

    identity: str
    servers: tuple[Line, ...]
    sites: tuple[Line, ...]

    @property
    def warnings(self) -> tuple[str, ...]:
        """Required actions, one sentence each."""
        lines = (*self.servers, *self.sites)
        return tuple(f"{line.name}: {line.standing}; {line.remedy}" for line in lines if line.remedy)

    def as_json(self) -> Mapping[str, object]:
        """As JSON values."""
        servers, sites = [asdict(line) for line in self.servers], [asdict(line) for line in self.sites]
        return {"federation": self.identity, "servers": servers, "sites": sites, "warnings": list(self.warnings)}


def summarize_validity(home: Home, federation: Federation, register: Register, now: datetime) -> Validity:
    """Summarize the validity. Raises CertificateError or AuthorityError if the CA's certificate cannot be used."""
    ca = read_ca(home, now)
    servers = [_line("CA", "", ca.not_valid_after_utc, now, "plan a new federation in a new folder")]
    for name, path, remedy in (
        ("front door", home.front, "run `ceus-coordinator renew` and let the front door read its files again"),
        ("SuperLink", home.superlink, "run `ceus-coordinator init` and start the SuperLink again"),
    ):
        servers.append(_server(name, path, remedy, now))
    return Validity(
        compute_federation_id(federation.name, ca), tuple(servers), tuple(_sites(home, federation, register, now))
    )


def _server(name: str, path: Path, remedy: str, now: datetime) -> Line:
    if not path.exists():
        return Line(name, "absent", "", "", None, "run `ceus-coordinator init`")
    certificate = parse_certificate(path.read_bytes(), f"the certificate of the {name}")
    return _line(name, "", certificate.not_valid_after_utc, now, remedy)


def _sites(home: Home, federation: Federation, register: Register, now: datetime) -> Iterator[Line]:
    stale = find_stale_kits(home, federation, register, now)
    until = {one.address: f"until {one.until:%Y-%m-%d}" for one in read_former(home, federation, now)}
    for name in sorted({*federation.sites, *(entry.site for entry in register.entries)}):
        entry = register.current(name)
        line = _site(entry, federation, now) if entry else _without(name, register)
        if line.standing == "ok" and name in stale:
            held = until.get(stale[name], "no longer")
            remedy = (
                f"its kit has {stale[name]}, which holds {held}; run `ceus-coordinator renew FOLDER` and send the kit"
            )
            line = replace(line, standing="moved", remedy=remedy)
        yield line


def _site(entry: SiteKey, federation: Federation, now: datetime) -> Line:
    if entry.site not in federation.sites:
        remedy = f"it is enrolled and not in federation.yaml; add it there, or revoke it: {entry.site}"
        return Line(entry.site, "unlisted", entry.fingerprint, entry.expires.isoformat(), None, remedy)
    expired = entry.expires < now
    renew = f"run `ceus-coordinator renew FOLDER {entry.site}` and send it the kit"
    remedy = "the site runs `ceus-site keys FOLDER --renew` and sends the request" if expired else renew
    return _line(entry.site, entry.fingerprint, entry.expires, now, remedy)


def _without(name: str, register: Register) -> Line:
    """A site that has no key which is enrolled: revoked, or not enrolled yet."""
    last = next((entry for entry in reversed(register.entries) if entry.site == name), None)
    if last is None:
        return Line(name, "absent", "", "", None, "")
    return Line(name, "revoked", last.fingerprint, last.expires.isoformat(), None, "")


def _line(name: str, mark: str, expires: datetime, now: datetime, remedy: str) -> Line:
    left = (expires - now).days
    said = "expired" if expires < now else "soon" if expires - EXPIRY_WARNING <= now else "ok"
    return Line(name, said, mark, expires.isoformat(), left, "" if said == "ok" else remedy)
