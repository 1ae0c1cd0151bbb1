"""The study through real Flower processes on this machine: the deployed shape, on loopback.

One SuperLink, and for every site a SuperNode (the courier's, with no data) and a worker (with the data, on a Unix
socket). Nothing here is encrypted, so nothing here listens beyond 127.0.0.1.
"""

from __future__ import annotations

import http.client
import os
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from ceus_models.runtime.errors import ExpectedError
from ceus_models.runtime.process_tree import Fleet
from server.operations.health import is_healthy
from server.rounds.events import Listener
from server.run_folder.journal import Journal
from server.transport.fab import build_fab
from server.transport.superlink_control import Control, RunConfig

_LOOPBACK = "127.0.0.1"
_SILENT_FLOWER = {
    "FLWR_TELEMETRY_ENABLED": "0",
    "FLWR_DISABLE_UPDATE_CHECK": "1",
    "FLWR_DISABLE_RUNTIME_DEPENDENCY_INSTALLATION": "1",
}
_ONE_THREAD = {"OMP_NUM_THREADS": "1"}  # as in the memory link: the same sums in the same order

WorkerCommand = Callable[[Path, Path], Sequence[str]]
"""The command line of a worker, from the site's folder and the socket."""


def installed_worker(folder: Path, socket_path: Path) -> list[str]:
    """The worker that a hospital runs."""
    return [sys.executable, "-m", "client.worker.process", "--folder", str(folder), "--socket", str(socket_path)]


@dataclass(frozen=True)
class Setup:
    """What is started and how long it may take, in seconds.

    worker: from start to open socket (reading caches included) · superlink: until it answers · pending: until the
    SuperLink has started the coordinator · dead: from the coordinator's last sign of life to the end of the run.
    worker_command and fab are replaced in tests only.
    """

    worker_command: WorkerCommand = installed_worker
    fab: bytes = build_fab()
    worker_s: float = 600.0
    superlink_s: float = 180.0
    pending_s: float = 180.0
    dead_s: float = 15.0
    poll_s: float = 1.0


SETUP = Setup()


def run_processes(
    plan: Path, out: Path, seed: int, sites: Mapping[str, Path], on_event: Listener | None = None, setup: Setup = SETUP
) -> None:
    """Walk `plan` with one worker and one SuperNode for every site (name → folder); checkpoints and logs go to `out`.

    Raises ExpectedError with the cause if the coordinator or any process fails; no process is left in any case.
    """
    _loopback_without_proxy()
    journal = Journal(out.resolve())
    journal.begin()
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ceus-")))
        fleet = stack.enter_context(Fleet(out.resolve() / "logs"))
        superlink = _start(fleet, scratch, sites, setup)
        config: RunConfig = {"plan": str(plan.resolve()), "out": str(out.resolve()), "seed": seed, "sites": len(sites)}
        control = stack.enter_context(Control(superlink))
        run = control.submit(config, setup.fab)
        _follow(control, run, fleet, journal, on_event, setup)


def _start(fleet: Fleet, scratch: Path, sites: Mapping[str, Path], setup: Setup) -> str:
    """Start everything and wait until it answers; the SuperLink's address."""
    ports = _free_ports(1 + len(sites))
    superlink = f"{_LOOPBACK}:{ports[0]}"
    command = [_script("flower-superlink"), "--insecure", "--disable-runtime-dependency-installation"]
    fleet.start("superlink", [*command, *_listen(ports[0])], _environment(scratch / "superlink"))
    sockets = {name: scratch / f"{number}.sock" for number, name in enumerate(sorted(sites))}
    for name, path in sockets.items():
        worker = setup.worker_command(sites[name].resolve(), path)
        fleet.start(f"worker-{name}", worker, {**os.environ, **_ONE_THREAD})
    for (name, path), port in zip(sockets.items(), ports[1:], strict=True):
        command = [_script("flower-supernode"), "--insecure", "--superlink", superlink, *_listen(port)]
        config = ["--node-config", f'site="{name}" socket="{path}"']
        fleet.start(f"node-{name}", [*command, *config], _environment(scratch / f"node-{port}"))
    _await(fleet, "the SuperLink", lambda: _is_ready(ports[0]), setup.superlink_s)
    for name, path in sockets.items():
        _await(fleet, f"the worker of {name}", path.is_socket, setup.worker_s)
    return superlink


def _listen(port: int) -> list[str]:
    return ["--host", _LOOPBACK, "--port", str(port)]


@dataclass
class _Coordinator:
    """Whether the coordinator's process is at work; Flower itself takes a minute to notice that one died."""

    journal: Journal
    grace_s: float
    last_seen: float | None = None

    def is_dead(self) -> bool:
        now = time.monotonic()
        if self.journal.is_held():
            self.last_seen = now
        return self.last_seen is not None and now - self.last_seen > self.grace_s


def _follow(
    control: Control, run: int, fleet: Fleet, journal: Journal, on_event: Listener | None, setup: Setup
) -> None:
    """Wait for the end of the run, as long as every process lives. Raises ExpectedError if it was not a good one."""
    tell, coordinator = _teller(journal, on_event), _Coordinator(journal, setup.dead_s)
    pending_until = time.monotonic() + setup.pending_s
    while True:
        state = control.state(run)
        tell()  # after the state was asked for: when the run has finished, all its events are there
        if state.completed:
            return
        if state.finished or coordinator.is_dead():
            said = journal.failure() or f"the coordinator stopped ({state.details.strip() or 'it was killed'})"
            raise ExpectedError(f"{said}. Its log: {fleet.log('superlink')}")
        if not state.started and time.monotonic() > pending_until:
            raise ExpectedError(
                f"no coordinator was started within {setup.pending_s:.0f} s; see {fleet.log('superlink')}"
            )
        fleet.check()
        time.sleep(setup.poll_s)


def _teller(journal: Journal, on_event: Listener | None) -> Callable[[], None]:
    """Hands the events that are new to the listener."""
    events = journal.follow()

    def tell() -> None:
        while event := next(events):
            if on_event:
                on_event(event)

    return tell


def _await(fleet: Fleet, what: str, ready: Callable[[], bool], seconds: float) -> None:
    end = time.monotonic() + seconds
    while not ready():
        fleet.check()
        if time.monotonic() > end:
            raise ExpectedError(f"{what} did not answer within {seconds:.0f} s; see the logs in {fleet.logs}")
        time.sleep(0.1)


def _is_ready(port: int) -> bool:
    return is_healthy(http.client.HTTPConnection(_LOOPBACK, port, timeout=5.0))


def _environment(home: Path) -> dict[str, str]:
    """Flower's own processes: no word to the outside, a home of their own, and the programs of this installation."""
    programs = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)))
    return {**os.environ, **_SILENT_FLOWER, **_ONE_THREAD, "FLWR_HOME": str(home), "PATH": programs}


def _script(name: str) -> str:
    path = Path(sys.executable).parent / name
    if not path.exists():
        raise ExpectedError(f"{path} is missing; install Flower into this environment: pip install 'flwr~=1.41.0'")
    return str(path)


def _free_ports(count: int) -> list[int]:
    """Ports that nobody uses now; all are held open until all are known, so that they differ."""
    with ExitStack() as stack:
        held = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in held:
            one.bind((_LOOPBACK, 0))
        return [one.getsockname()[1] for one in held]


def _loopback_without_proxy() -> None:
    """Flower's HTTP client obeys HTTP_PROXY even for loopback, unless told otherwise."""
    hosts = [host for host in os.environ.get("NO_PROXY", os.environ.get("no_proxy", "")).split(",") if host]
    os.environ["NO_PROXY"] = os.environ["no_proxy"] = ",".join(dict.fromkeys([*hosts, _LOOPBACK, "localhost"]))
