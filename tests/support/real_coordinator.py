"""A coordinator's real processes on this machine: SuperLink, SuperExec and nginx, behind TLS and node keys."""

from __future__ import annotations

import os
import shutil
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from made_federation import NOW, Lab, lab

from ceus_models.pki.enrolment import utc_now
from ceus_models.runtime.process_tree import ProcessGroup
from server.federation.node_roster import synchronise
from server.federation.site_register import read_register
from server.transport.superlink_control import Control

HERE = Path(__file__).parents[1] / "support"
NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")


@dataclass(frozen=True)
class RealCoordinator:
    """front, superlink: ports."""

    lab: Lab
    fleet: ProcessGroup
    front: int
    superlink: int
    scratch: Path

    def control(self) -> Control:
        return Control(f"localhost:{self.superlink}", self.lab.home.ca.read_bytes())

    def synchronise(self) -> list[str]:
        with self.control() as control:
            return list(synchronise(control, read_register(self.lab.home), utc_now()))


def founded(scratch: Path, host: str = "localhost") -> tuple[Lab, int, int]:
    """A federation of site-01, and the ports of its front door and its SuperLink. host: that the site dials."""
    front, superlink = ports(2)
    text = f"schema: 1\nname: lab\naddress: '{host}:{front}'\nsites: [site-01]\nsuperlink_port: {superlink}\n"
    made = lab(scratch / "co", text)
    return (made.at(utc_now()) if utc_now() > NOW else made), front, superlink


@contextmanager
def started(made: Lab, front: int, superlink: int, scratch: Path) -> Iterator[RealCoordinator]:
    home = made.home
    secret = ["--superexec-auth-secret-file", str(home.superexec_secret)]
    tls = ["--ssl-certfile", str(home.superlink), "--ssl-keyfile", str(home.superlink_key)]
    command = ["--host", "127.0.0.1", "--port", str(superlink), "--isolation", "process", "--enable-supernode-auth"]
    command += ["--disable-runtime-dependency-installation", *secret, *tls, "--ssl-ca-certfile", str(home.ca)]
    runtime_api = ["--runtime-api-address", f"localhost:{superlink}", "--root-certificates", str(home.ca)]
    with ProcessGroup(scratch / "logs") as fleet:
        start(fleet, "superlink", [program("flower-superlink"), *command], scratch)
        wait(lambda: answers(superlink), 120, "the SuperLink")
        start(fleet, "superexec", [program("flower-superexec"), *runtime_api, *secret], scratch)
        start(fleet, "nginx", [str(NGINX), "-c", str(home.nginx), "-g", "daemon off;"], scratch)
        running = RealCoordinator(made, fleet, front, superlink, scratch)
        assert running.synchronise()
        yield running


def start(fleet: ProcessGroup, name: str, command: list[str], scratch: Path) -> None:
    programs = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)))
    imports = os.pathsep.join((str(HERE), str(HERE.parents[1])))
    quiet = {"FLWR_HOME": str(scratch / f"flwr-{name}"), "PYTHONUNBUFFERED": "1", "NO_PROXY": "localhost,127.0.0.1"}
    fleet.start(name, command, {**os.environ, **quiet, "PATH": programs, "PYTHONPATH": imports})


def program(name: str) -> str:
    return str(Path(sys.executable).parent / name)


def ports(count: int) -> list[int]:
    with ExitStack() as stack:
        held = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in held:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in held]


def answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1.0).close()
    except OSError:
        return False
    return True


def wait(ready: Callable[[], object], seconds: float, what: str) -> None:
    end = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < end, f"{what}: not within {seconds} s"
        time.sleep(0.3)
