"""The site's service: worker and courier, kept running together or each alone.

`ceus-site serve | worker | courier` look whether the site can be started and then become this process, which holds
neither torch nor data. What it tells goes to standard output and to the logs, one JSON line an event.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from ceus_models.runtime.errors import ExpectedError
from ceus_models.runtime.exit_codes import run_cli
from ceus_models.runtime.file_locks import hold_lock
from ceus_models.runtime.liveness.heartbeat import Heartbeat
from ceus_models.runtime.process_tree import ProcessGroup
from ceus_models.runtime.supervisor import Service, StopRequested, Supervisor, log_event
from client.courier.folder import CourierFolder, courier_of, state_socket
from client.service.watchdogs import KitWatch, LineWatch, Watch, WorkerWatch

_SOCKETS = 0o750  # the courier may be another user of the same group
_GRACE_S = 10.0
_STEP_S = 0.5
_LOOK_S = 5.0
_LOOPBACK = "127.0.0.1"
_QUIET_FLOWER = {
    "FLWR_TELEMETRY_ENABLED": "0",
    "FLWR_DISABLE_UPDATE_CHECK": "1",
    "FLWR_DISABLE_RUNTIME_DEPENDENCY_INSTALLATION": "1",
}
_OURS = [sys.executable, "-P", "-m"]  # -P: nothing is imported from the folder that it is started in

cli = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@cli.command()
def main(
    folder: Annotated[Path, typer.Argument(help="The site's folder.")],
    socket_path: Annotated[Path, typer.Option("--socket", help="Where the worker listens.")],
    site: Annotated[str, typer.Option(help="The site's name.")],
    worker_logs: Annotated[Path | None, typer.Option(help="Run the worker; where its logs go.")] = None,
    courier: Annotated[bool, typer.Option("--courier", help="Run the courier.")] = False,
) -> None:
    """Keep the parts of a site running until told to stop."""
    with ExitStack() as stack:
        asked = stack.enter_context(StopRequested())
        kept = []
        if worker_logs is not None:
            kept.append(_worker_kept(folder, socket_path, site, worker_logs, stack))
        if courier:
            kept.append(_courier_kept(courier_of(folder), socket_path, stack))
        _keep(kept, asked)


def command(folder: Path, socket_path: Path, site: str, worker_logs: Path | None, courier: bool) -> list[str]:
    """The command line of this service. worker_logs: None for a courier alone."""
    worker = [] if worker_logs is None else ["--worker-logs", str(worker_logs)]
    halves = [*worker, "--courier"] if courier else worker
    return [*_OURS, "client.service.service", str(folder), "--socket", str(socket_path), "--site", site, *halves]


@dataclass(frozen=True)
class _Kept:
    """One half of a site: its processes, and who looks after them."""

    fleet: ProcessGroup
    supervisor: Supervisor
    watches: Sequence[Watch]

    def step(self) -> None:
        self.supervisor.step()

    def look(self) -> None:
        self.fleet.rotate_logs()
        for watch in self.watches:
            watch.look(self.supervisor)


def _keep(kept: Sequence[_Kept], asked: StopRequested) -> None:
    look_at, announced = 0.0, False
    while not asked.wait(_STEP_S):
        for half in kept:
            half.step()
        if time.monotonic() < look_at:
            continue
        for half in kept:
            half.look()
        if not announced and all(watch.is_well for half in kept for watch in half.watches):
            announced = True
            log_event({"event": "serving"})
        look_at = time.monotonic() + (_LOOK_S if announced else _STEP_S)
    log_event({"event": "stopping"})


def _worker_kept(folder: Path, socket_path: Path, site: str, logs: Path, stack: ExitStack) -> _Kept:
    """The worker's half, entered into the stack; what was entered last is ended first."""
    socket_path.parent.mkdir(mode=_SOCKETS, exist_ok=True)
    fleet = _fleet(logs, "worker", stack)
    told = _teller(fleet.log_path("service"))
    supervisor = Supervisor(fleet, [_worker(folder, socket_path, site)], told)
    return _Kept(fleet, supervisor, [WorkerWatch(state_socket(socket_path), told)])


def _courier_kept(courier: CourierFolder, socket_path: Path, stack: ExitStack) -> _Kept:
    fleet = _fleet(courier.logs, "courier", stack)
    Heartbeat(courier.contact).clear()  # contact before the start does not count
    told = _teller(fleet.log_path("service"))
    supervisor = Supervisor(fleet, _courier(courier, socket_path), told)
    return _Kept(fleet, supervisor, [LineWatch(courier, told), KitWatch(courier, told)])


def _fleet(logs: Path, name: str, stack: ExitStack) -> ProcessGroup:
    logs.mkdir(mode=0o700, parents=True, exist_ok=True)
    busy = ExpectedError(f"another service keeps the {name} of this folder running; stop it first")
    stack.enter_context(hold_lock(logs / "service.lock", busy))
    return stack.enter_context(ProcessGroup(logs, _GRACE_S))


def _worker(folder: Path, socket_path: Path, site: str) -> Service:
    options = ["--folder", str(folder), "--socket", str(socket_path), "--site", site]
    return Service("worker", [*_OURS, "client.worker.process", *options], {**os.environ, "PYTHONUNBUFFERED": "1"})


def _courier(courier: CourierFolder, socket_path: Path) -> list[Service]:
    port = _free_port()
    own = ["--courier", str(courier.folder)]
    env = courier_environment(courier)
    node = [*_OURS, "client.courier.supernode", *own, "--socket", str(socket_path), "--port", str(port)]
    runner = [*_OURS, "client.courier.runner", *own, "--api", f"{_LOOPBACK}:{port}"]
    return [Service("node", node, env), Service("runner", runner, env)]


def courier_environment(courier: CourierFolder) -> dict[str, str]:
    """This process's own, with a quiet Flower, and no proxy between node and runner: httpx would use one even there."""
    spared = [host for host in os.environ.get("NO_PROXY", os.environ.get("no_proxy", "")).split(",") if host]
    no_proxy = ",".join(dict.fromkeys([*spared, _LOOPBACK]))
    home = {"FLWR_HOME": str(courier.state / "flower"), "PYTHONUNBUFFERED": "1"}
    return {**os.environ, **_QUIET_FLOWER, **home, "NO_PROXY": no_proxy, "no_proxy": no_proxy}


def _teller(log: Path) -> Callable[[Mapping[str, object]], None]:
    """Tells an event on standard output and in a log."""

    def log_to_file(event: Mapping[str, object]) -> None:
        log_event(event)
        with log.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"at": round(time.time(), 3), **event}) + "\n")

    return log_to_file


def _free_port() -> int:
    with socket.socket() as held:
        held.bind((_LOOPBACK, 0))
        return int(held.getsockname()[1])


if __name__ == "__main__":
    run_cli(cli)
