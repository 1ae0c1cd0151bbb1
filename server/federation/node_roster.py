"""Synchronises the SuperLink's registered nodes with the register of sites."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from ceus_models.pki.certificates import check_times, parse_certificate
from ceus_models.pki.keys import fingerprint, format_public_pem, parse_public_key, parse_public_pem
from server.federation.federation_file import Federation
from server.federation.site_register import Register
from server.run_folder.paths import Home
from server.transport.superlink_control import Control

_REACH_S = 1.0


def synchronise(control: Control, register: Register, now: datetime) -> list[str]:
    """Register and unregister nodes until both agree; what was done, one line each. Raises ExpectedError.

    An unknown key is unregistered too: it cannot have come through the front door.
    """
    working = {entry.fingerprint: entry for entry in register.entries if entry.works(now)}
    sites = {entry.fingerprint: entry.site for entry in register.entries}
    known: dict[str, int] = {}
    done: list[str] = []
    for pem, node in control.keys().items():
        key = parse_public_pem(pem)
        mark = fingerprint(key) if key else "unreadable"
        if mark in working:
            known[mark] = node
            continue
        control.dismiss(node)
        done.append(f"shut out {sites.get(mark, 'a key that nobody enrolled')} ({mark})")
    for mark, entry in working.items():
        if mark not in known:
            control.admit(format_public_pem(parse_public_key(entry.public_key)), entry.site)
            done.append(f"let in {entry.site} ({mark})")
    return done


def is_up(federation: Federation) -> bool:
    """Whether something listens where the SuperLink should."""
    return listens(federation.superlink_port)


def listens(port: int) -> bool:
    """Whether something listens on this port of this machine."""
    try:
        socket.create_connection(("127.0.0.1", port), _REACH_S).close()
    except OSError:
        return False
    return True


@contextmanager
def open_control(home: Home, federation: Federation, now: datetime) -> Iterator[Control]:
    """Open the SuperLink's control interface over loopback.

    Raises:
        CertificateError: if this machine's clock is outside the validity of the front door's certificate. A wrong
            clock must not expire sites, because Flower never accepts an unregistered key again.
    """
    front = parse_certificate(home.front.read_bytes(), "the front door's certificate")
    check_times(front, "the front door's certificate", now, "run `ceus-coordinator renew`")
    with Control(f"127.0.0.1:{federation.superlink_port}", home.ca.read_bytes()) as control:
        yield control
