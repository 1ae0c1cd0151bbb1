"""The coordinator's processes, as command lines: SuperLink and SuperExec, on 127.0.0.1 only, and the front door."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from ceus_models.runtime.errors import ExpectedError
from ceus_models.runtime.supervisor import Service
from server.federation.federation_file import Federation
from server.run_folder.paths import Home

LOOPBACK = "127.0.0.1"
SUPERLINK, SUPEREXEC, NOTICES, FRONT_DOOR = "superlink", "superexec", "notices", "front-door"
_QUIET = {
    "FLWR_TELEMETRY_ENABLED": "0",
    "FLWR_DISABLE_UPDATE_CHECK": "1",
    "FLWR_DISABLE_RUNTIME_DEPENDENCY_INSTALLATION": "1",
    "PYTHONUNBUFFERED": "1",
}


def build_services(home: Home, federation: Federation) -> tuple[Service, ...]:
    """SuperLink and SuperExec of a federation, and what tells people if there is a notices.yaml.

    Raises ExpectedError where Flower is not installed.
    """
    told = Service(NOTICES, notices_command(home), dict(os.environ))
    return (
        Service(SUPERLINK, superlink_command(home, federation), _environment(home, SUPERLINK)),
        Service(SUPEREXEC, superexec_command(home, federation), _environment(home, SUPEREXEC)),
        *([told] if home.notices.exists() else []),
    )


def front_door_service(home: Home, nginx: str) -> Service:
    """nginx with the configuration that `init` made, as a process that stays with its parent."""
    return Service(FRONT_DOOR, [nginx, "-c", str(home.nginx), "-g", "daemon off;"], dict(os.environ))


def superlink_command(home: Home, federation: Federation) -> list[str]:
    """The SuperLink with its database, TLS and the sites' keys; it starts no process itself."""
    return [
        *(sys.executable, "-m", "server.transport.superlink"),
        *("--host", LOOPBACK, "--port", str(federation.superlink_port)),
        *("--database", str(home.database)),
        *("--isolation", "process", "--superexec-auth-secret-file", str(home.superexec_secret)),
        *("--enable-supernode-auth", "--disable-runtime-dependency-installation"),
        *("--ssl-certfile", str(home.superlink), "--ssl-keyfile", str(home.superlink_key)),
        *("--ssl-ca-certfile", str(home.ca)),
    ]


def superexec_command(home: Home, federation: Federation) -> list[str]:
    """The process that starts the ServerApp; it alone knows the secret by which tasks are taken."""
    return [
        *(_program("flower-superexec"), "--runtime-api-address", f"{LOOPBACK}:{federation.superlink_port}"),
        *("--root-certificates", str(home.ca), "--superexec-auth-secret-file", str(home.superexec_secret)),
    ]


def notices_command(home: Home) -> list[str]:
    """The process that sends mails and posts; it reaches out, so it keeps the proxy that is set."""
    return [sys.executable, "-m", "server.notices.process", str(home.folder)]


def without_proxy(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment, with no HTTP proxy between processes of this machine."""
    named = environment.get("NO_PROXY", environment.get("no_proxy", ""))
    hosts = ",".join(dict.fromkeys([*(host for host in named.split(",") if host), LOOPBACK, "localhost"]))
    return {**environment, "NO_PROXY": hosts, "no_proxy": hosts}


def _environment(home: Home, name: str) -> dict[str, str]:
    """No word to the outside, a home of its own below the coordinator's folder, the programs of this installation."""
    programs = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)))
    place = {"FLWR_HOME": str(home.database.parent / f"flwr-{name}"), "PATH": programs}
    return {**without_proxy(os.environ), **_QUIET, **place}


def _program(name: str) -> str:
    path = Path(sys.executable).parent / name
    if not path.exists():
        raise ExpectedError(f"{path} is missing; install fedceus again, with constraints.txt")
    return str(path)
