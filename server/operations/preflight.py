"""`ceus-coordinator preflight`: what must hold before sites are asked to connect, each failure with its remedy."""

from __future__ import annotations

import ctypes
import http.client
import os
import socket
import sqlite3
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from importlib.metadata import version

import psutil

from ceus_models.plan.plan import format_least, load_plan
from ceus_models.runtime.errors import ExpectedError
from ceus_models.runtime.findings import Finding, make_fault, make_note, make_ok, run_checks
from server.federation.addresses import read_former
from server.federation.certificate_authority import read_ca
from server.federation.expiry import summarize_validity
from server.federation.federation_file import Federation
from server.federation.founding import LOOPBACK, find_certificate_fault, list_hosts
from server.federation.nginx_conf import CALLS
from server.federation.node_roster import is_up
from server.federation.site_register import count_enrolled, read_register
from server.federation.studies import describe_processing
from server.operations.daemon import check_complete, find_front_fault, find_nginx
from server.operations.disk_room import find_shortage, free_bytes
from server.operations.health import is_superlink_healthy
from server.operations.launcher import check_bundle
from server.run_folder.paths import Home, StudyFolder
from server.run_folder.studies import find_plan

_UNSYNCHRONISED = 5  # TIME_ERROR of ntp_gettime(3)
_LEAST_FREE, _BETTER_FREE = 2 << 30, 20 << 30
_TIMEOUT_S = 10.0
_CLOSED = ("/v1/control/list-nodes", "/v1/control/start-run", "/v1/runtime/acquire-task", "/docs")


@dataclass(frozen=True)
class Subject:
    """What is looked at, and when."""

    home: Home
    federation: Federation
    now: datetime
    studies: tuple[StudyFolder, ...] = ()


def run_preflight(subject: Subject) -> Iterator[Finding]:
    """All findings, as they come."""
    return run_checks((name, partial(_readable, check, subject)) for name, check in CHECKS.items())


def _readable(check: Callable[[Subject], Iterator[Finding]], subject: Subject) -> Iterator[Finding]:
    """The findings of a check. Raises ExpectedError also where a file cannot be read."""
    try:
        yield from check(subject)
    except OSError as error:
        raise ExpectedError(
            f"{error.filename or 'a file or port'}: {error.strerror}; let this user have it, then check again"
        ) from None


def _folder(subject: Subject) -> Iterator[Finding]:
    check_complete(subject.home)
    for folder in (subject.home.ca.parent, subject.home.front.parent, subject.home.superexec_secret.parent):
        if folder.stat().st_mode & 0o077:
            yield make_fault("folder", f"{folder} is open to other users", f"chmod 700 {folder}")
    if subject.home.ca_key.exists():
        remedy = f"keep a copy elsewhere, and move {subject.home.ca_key} off this machine between enrolments"
        yield make_ok("folder", f"complete; the CA's key lies here ({remedy})")
    else:
        yield make_ok("folder", "complete; the CA's key lies elsewhere")


def _plans(subject: Subject) -> Iterator[Finding]:
    if not subject.studies:
        yield make_note("plan", "no study", f"`ceus-coordinator study add {subject.home.folder} PLAN` adds one")
    yield from run_checks((f"plan of {study.name}", partial(_plan, subject, study)) for study in subject.studies)


def _plan(subject: Subject, study: StudyFolder) -> Iterator[Finding]:
    name = f"plan of {study.name}"
    plan = load_plan(find_plan(study))
    check_bundle(study, plan)
    plan.check_joinable(len(subject.federation.sites), "in federation.yaml")
    missing = sorted(set(plan.quorum.required) - set(subject.federation.sites))
    if missing:
        said = f"the plan requires {', '.join(missing)}, which federation.yaml does not name"
        yield make_fault(name, said, "mend quorum.required in the plan, or sites in federation.yaml")
    if said := describe_processing(study, plan):
        yield make_note(name, said, "`ceus-coordinator run --after OTHER`, or give both plans the same processing")
    enrolled, least = count_enrolled(subject.home), max(plan.least_sites().values())
    said = f"{plan.name}, {len(plan.stages)} stages of {format_least(plan)}, and the bundle is of this plan"
    if enrolled < least:
        yield make_note(name, f"{said}; {enrolled} enrolled", f"`run` begins when {least} sites are enrolled")
    else:
        yield make_ok(name, said)


def _flower(subject: Subject) -> Iterator[Finding]:
    found = version("flwr")
    if found.startswith("1.41."):
        yield make_ok("Flower", found)
    else:
        yield make_fault("Flower", f"{found} is installed", "install fedceus again with constraints.txt: 1.41")


def _certificates(subject: Subject) -> Iterator[Finding]:
    home, ca = subject.home, read_ca(subject.home, subject.now)
    hosts = list_hosts(subject.federation, read_former(home, subject.federation, subject.now))
    servers = (("front door", home.front, home.front_key, hosts, "renew"),)
    for name, path, key, hosts, command in (
        *servers,
        ("SuperLink", home.superlink, home.superlink_key, LOOPBACK, "init"),
    ):
        why = find_certificate_fault(path, key, ca, hosts, subject.now)
        remedy = f"run `ceus-coordinator {command} {home.folder}`"
        yield make_fault(f"TLS, {name}", why, remedy) if why else make_ok(f"TLS, {name}", "fits its key, names and CA")
    valid = summarize_validity(home, subject.federation, read_register(home), subject.now)
    for line in (line for line in valid.sites if line.remedy):
        yield make_note("sites' certificates", f"{line.name}: {line.standing}", line.remedy)
    absent = [line.name for line in valid.sites if line.standing in ("absent", "revoked")]
    said = f"{len(valid.sites) - len(absent)} of {len(valid.sites)} sites are enrolled"
    yield make_ok("sites' certificates", said + (f"; not: {', '.join(absent)}" if absent else ""))


def _clock(subject: Subject) -> Iterator[Finding]:
    """Flower refuses requests that are more than five minutes off."""
    state = ctypes.CDLL(None, use_errno=True).ntp_gettime(ctypes.create_string_buffer(256))
    if state == _UNSYNCHRONISED:
        said = "this machine's clock is not synchronised; sites whose clock differs by 5 minutes are shut out"
        yield make_note("clock", said, "timedatectl set-ntp true (in a container: on its host)")
    else:
        yield make_ok("clock", f"{subject.now:%Y-%m-%d %H:%M:%S} UTC")


def _disk(subject: Subject) -> Iterator[Finding]:
    home = subject.home
    probe = home.folder / ".preflight"
    try:
        probe.write_bytes(b"x")
        probe.unlink()
    except OSError as error:
        yield make_fault("disk", f"{home.folder} cannot be written ({error.strerror})", "give it to this user")
        return
    if shortage := find_shortage(home, probe=True):
        words, _, fix = shortage.partition("; ")
        yield make_fault("disk", words, fix)
        return
    places = [home.folder, home.database.parent, *(study.run for study in subject.studies)]
    free = min(free_bytes(place) for place in places if place.exists())
    said = f"{free / (1 << 30):.1f} GB free for checkpoints, the SuperLink's database and logs"
    remedy = "make room: a round of the paper's plan keeps some 10 GB for a while"
    if free >= _BETTER_FREE:
        yield make_ok("disk", said)
    else:
        yield make_fault("disk", said, remedy) if free < _LEAST_FREE else make_note("disk", said, remedy)


def _database(subject: Subject) -> Iterator[Finding]:
    path = subject.home.database
    if not path.exists():
        yield make_ok("database", "none yet; `up` makes it")
        return
    try:
        with sqlite3.connect(f"file:{path}?mode=rw", uri=True, timeout=_TIMEOUT_S) as database:
            database.execute("BEGIN IMMEDIATE")
            database.execute("ROLLBACK")
            sound = database.execute("PRAGMA quick_check(1)").fetchone()[0]
        database.close()
    except sqlite3.Error as error:
        sound = str(error)
    remedy = f"stop `up`, move {path} away and start `up` again: sites connect anew, and the run goes on"
    if sound == "ok" and find_shortage(subject.home, probe=True):
        yield make_note(
            "database", "sound, but it may not be written: its disk, or another, is full", "make room first"
        )
    elif sound == "ok":
        yield make_ok("database", "can be written, and is sound")
    else:
        yield make_fault("database", f"{path}: {sound}", remedy)


def _superlink_port(subject: Subject) -> Iterator[Finding]:
    port = subject.federation.superlink_port
    open_at = [address for address in own_addresses() if _connects(address, port)]
    if open_at:
        said = f"port {port} is open at {', '.join(open_at)}: who has the CA's certificate could start runs there"
        remedy = "what listens there is not ours: `up` binds 127.0.0.1. Stop it, and let no proxy forward that port"
        yield make_fault("SuperLink's port", said, remedy)
    elif not is_up(subject.federation):
        yield make_note("SuperLink's port", f"nothing listens on {port}", "start `ceus-coordinator up`")
    elif not is_superlink_healthy(subject.home, subject.federation):
        said = f"what listens on {port} is not this federation's SuperLink"
        yield make_fault("SuperLink's port", said, "stop it, or give another superlink_port and run `init`")
    else:
        yield make_ok("SuperLink's port", f"{port}, on this machine only")


def _front_door(subject: Subject) -> Iterator[Finding]:
    if find_nginx() and (why := find_front_fault(subject.home)):
        yield make_fault("front door", f"nginx refuses its configuration: {why}", "run `ceus-coordinator init`")
    try:
        opened = [path for path in _CLOSED if _status(subject, path) != http.HTTPStatus.NOT_FOUND]
        through = _status(subject, f"/v1/fleet/{CALLS[0]}")
    except ssl.SSLCertVerificationError as error:
        remedy = f"let it use {subject.home.front}, and read it again after `renew`: nginx -s reload"
        yield make_fault("front door", f"its certificate is not the federation's ({error.verify_message})", remedy)
        return
    except (OSError, http.client.HTTPException) as error:
        said = f"{subject.federation.address} cannot be reached from here ({error})"
        yield make_fault("front door", said, f"start it: nginx -c {subject.home.nginx}; open the firewall")
        return
    if opened:
        said = f"it passes {', '.join(opened)}: who has the CA's certificate could list nodes and start runs"
        yield make_fault("front door", said, f"use {subject.home.nginx} as it is; it passes /v1/fleet/ alone")
    elif through in (http.HTTPStatus.BAD_GATEWAY, http.HTTPStatus.GATEWAY_TIMEOUT):
        yield make_note("front door", "open, but the SuperLink behind it is not up", "`ceus-coordinator up`")
    elif through == http.HTTPStatus.NOT_FOUND:
        yield make_fault("front door", "it does not pass /v1/fleet/", f"use {subject.home.nginx} as it is")
    else:
        yield from _addresses(subject.federation)


def _addresses(federation: Federation) -> Iterator[Finding]:
    """Whether the front door answers at every address of its name: a site takes any of them."""
    found = socket.getaddrinfo(federation.host, federation.port, type=socket.SOCK_STREAM)
    addresses = sorted({str(place[0]) for *_, place in found})
    shut = [address for address in addresses if not _connects(address, federation.port)]
    if shut:
        said = f"it passes /v1/fleet/ alone; nothing answers at {', '.join(shut)}, which {federation.host} is too"
        yield make_note("front door", said, "open that address for the sites, or take it out of the DNS")
    else:
        said = f"passes /v1/fleet/ alone, as seen from this machine at {', '.join(addresses)}"
        yield make_ok("front door", said)


def _status(subject: Subject, path: str) -> int:
    """What the front door answers to a POST, as a site would send it."""
    trusted = ssl.create_default_context(cafile=str(subject.home.ca))
    federation = subject.federation
    connection = http.client.HTTPSConnection(federation.host, federation.port, timeout=_TIMEOUT_S, context=trusted)
    try:
        connection.request("POST", path, b"", {"content-type": "application/x-protobuf"})
        return connection.getresponse().status
    finally:
        connection.close()


def _limits(subject: Subject) -> Iterator[Finding]:
    files = os.sysconf("SC_OPEN_MAX")
    memory = psutil.virtual_memory().total
    if files < 1024:
        yield make_note("open files", f"at most {files}", "ulimit -n 4096, or LimitNOFILE= in the unit")
    said = f"{memory / (1 << 30):.0f} GB"
    remedy = "the paper's plan needs some 8 GB here, whatever the number of sites"
    yield make_ok("memory", said) if memory >= 8 << 30 else make_note("memory", said, remedy)


def own_addresses() -> list[str]:
    """This machine's addresses but loopback."""
    found = [one for ones in psutil.net_if_addrs().values() for one in ones]
    ip = [one.address.partition("%")[0] for one in found if one.family in (socket.AF_INET, socket.AF_INET6)]
    return sorted(a for a in ip if not a.startswith("127.") and a != "::1")


def _connects(address: str, port: int) -> bool:
    try:
        socket.create_connection((address, port), 1.0).close()
    except OSError:
        return False
    return True


CHECKS: dict[str, Callable[[Subject], Iterator[Finding]]] = {
    "folder": _folder,
    "plan": _plans,
    "Flower": _flower,
    "certificates": _certificates,
    "clock": _clock,
    "disk": _disk,
    "database": _database,
    "SuperLink's port": _superlink_port,
    "front door": _front_door,
    "limits": _limits,
}
