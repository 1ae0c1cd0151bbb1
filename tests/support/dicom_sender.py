"""A PACS that sends, in a process of its own: a storage service class user for the tests of what receives."""

from __future__ import annotations

import json
import os
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from pydicom import dcmread
from pynetdicom import AE, ALL_TRANSFER_SYNTAXES
from pynetdicom.sop_class import CTImageStorage, UltrasoundMultiFrameImageStorage, Verification


@dataclass
class Order:
    """What to send, and how.

    tls: folder and name of a certificate; aborts: whether the association is broken off at the end.
    """

    port: int
    paths: list[str]
    title: str = "PACS"
    receiver: str = "FEDCEUS"
    tls: tuple[str, str] | None = None
    aborts: bool = False


@dataclass
class Answer:
    """statuses: of each object, None where none came; "no context" where its class was not accepted."""

    established: bool
    rejected: bool
    echo: int | None = None
    statuses: list[int | str | None] = field(default_factory=list)


def send(port: int, paths: Iterable[Path], **how: object) -> Answer:
    """Send objects in one association."""
    running = start_sending(port, paths, **how)
    out, _ = running.communicate(timeout=600)
    return Answer(**json.loads(out))


def start_sending(port: int, paths: Iterable[Path], **how: object) -> subprocess.Popen[bytes]:
    """The same in a process that goes on; it prints the answer at its end."""
    order = {"port": port, "paths": [str(path) for path in paths], **how}
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, __file__, json.dumps(order)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)


def carry_out(order: Order) -> Answer:
    """Associate and send."""
    entity = AE(ae_title=order.title)
    entity.network_timeout = entity.acse_timeout = entity.dimse_timeout = entity.connection_timeout = 60
    entity.add_requested_context(UltrasoundMultiFrameImageStorage, ALL_TRANSFER_SYNTAXES[:6])
    entity.add_requested_context(CTImageStorage, ALL_TRANSFER_SYNTAXES[:6])
    entity.add_requested_context(Verification)
    tls = None
    if order.tls is not None:
        folder, name = order.tls
        tls = ssl.create_default_context(cafile=f"{folder}/known.pem")
        tls.load_cert_chain(f"{folder}/{name}.pem", f"{folder}/{name}.key")
    made = entity.associate(
        "127.0.0.1", order.port, ae_title=order.receiver, tls_args=(tls, "localhost") if tls else None
    )
    answer = Answer(made.is_established, made.is_rejected)
    if made.is_established:
        answer.echo = made.send_c_echo().get("Status")
    for path in order.paths:
        if not made.is_established:
            answer.statuses.append(None)
            continue
        try:
            answer.statuses.append(made.send_c_store(dcmread(path)).get("Status"))
        except ValueError:
            answer.statuses.append("no context")
    if made.is_established and order.aborts:
        made.abort()
    elif made.is_established:
        made.release()
    return answer


def find_free_port() -> int:
    """A port of loopback that nobody listens at."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def wait_until_listening(port: int, seconds: float = 200.0) -> None:
    """Until the receiver takes connections."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with socket.socket() as one:
            if one.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError("nobody listens")


if __name__ == "__main__":
    print(json.dumps(asdict(carry_out(Order(**json.loads(sys.argv[1]))))))
