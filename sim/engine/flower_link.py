"""The study through Flower processes on this machine, as it is deployed, on loopback.

One SuperLink, and for every site a SuperNode (the courier's, without data) and a worker (with the data, on a Unix
socket). Nothing is encrypted, so all ports listen on 127.0.0.1 only.
"""

from __future__ import annotations

import http.client
import os
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from ceus_models.runtime.errors import ExpectedError
from ceus_models.runtime.process_tree import ProcessGroup
from server.operations.health import is_healthy
from server.rounds.events import Listener
from server.run_folder.journal import Journal
from server.transport.fab import build_fab
from server.transport.superlink_control import Control, RunConfig
from sim.engine.free_ports import find_free_ports

_LOOPBACK = "127.0.0.1"
_SILENT_FLOWER = {
    "FLWR_TELEMETRY_ENABLED": "0",
    "FLWR_DISABLE_UPDATE_CHECK": "1",
    "FLWR_DISABLE_RUNTIME_DEPENDENCY_INSTALLATION": "1",
}
_ONE_THREAD = {"OMP_NUM_THREADS": "1"}  # as in the memory link: the same sums in the same order

WorkerCommand = Callable[[Path, Path], Sequence[str]]
"""Makes the command line of a worker from the site's folder and the socket."""


def build_worker_command(folder: Path, socket_path: Path) -> list[str]:
    """The command line of the worker that a hospital runs."""
    return [sys.executable, "-m", "client.worker.process", "--folder", str(folder), "--socket", str(socket_path)]


@dataclass(frozen=True)
class ProcessSetup:
    """What is started, and time limits.

    Args:
        worker_command: makes the command line of a worker; tests replace it.
        fab: the Flower app bundle; tests replace it.
        worker_s: from the worker's start to its open socket, reading of caches included.
        superlink_s: until the SuperLink answers.
        pending_s: until the SuperLink has started the coordinator.
        dead_s: from the coordinator's last heartbeat to the end of the run.
        poll_s: between two checks.
    """

    worker_command: WorkerCommand = build_worker_command
    fab: bytes = build_fab()
    worker_s: float = 600.0
    superlink_s: float = 180.0
    pending_s: float = 180.0
    dead_s: float = 15.0
    poll_s: float = 1.0


SETUP = ProcessSetup()


def run_processes(
    plan: Path,
    out: Path,
    seed: int,
    sites: Mapping[str, Path],
    on_event: Listener | None = None,
    setup: ProcessSetup = SETUP,
) -> None:
    """Run `plan` with a worker and a SuperNode for each of `sites` (name → folder); checkpoints and logs go to `out`.

    Raises:
        ExpectedError: the coordinator or another process failed; no process is left running.
    """
    _bypass_proxy()
    journal = Journal(out.resolve())
    journal.begin()
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ceus-")))
        fleet = stack.enter_context(ProcessGroup(out.resolve() / "logs"))
        superlink = _start_processes(fleet, scratch, sites, setup)
        config: RunConfig = {"plan": str(plan.resolve()), "out": str(out.resolve()), "seed": seed, "sites": len(sites)}
        control = stack.enter_context(Control(superlink))
        run = control.submit(config, setup.fab)
        _wait_for_run(control, run, fleet, journal, on_event, setup)


def _start_processes(fleet: ProcessGroup, scratch: Path, sites: Mapping[str, Path], setup: ProcessSetup) -> str:
    """Start all processes, wait until they are ready, and return the SuperLink's address."""
    ports = find_free_ports(1 + len(sites))
    superlink = f"{_LOOPBACK}:{ports[0]}"
    command = [_find_script("flower-superlink"), "--insecure", "--disable-runtime-dependency-installation"]
    fleet.start("superlink", [*command, *_build_listen_options(ports[0])], _build_environment(scratch / "superlink"))
    sockets = {name: scratch / f"{number}.sock" for number, name in enumerate(sorted(sites))}
    for name, path in sockets.items():
        worker = setup.worker_command(sites[name].resolve(), path)
        fleet.start(f"worker-{name}", worker, {**os.environ, **_ONE_THREAD})
    for (name, path), port in zip(sockets.items(), ports[1:], strict=True):
        command = [
            _find_script("flower-supernode"),
            "--insecure",
            "--superlink",
            superlink,
            *_build_listen_options(port),
        ]
        config = ["--node-config", f'site="{name}" socket="{path}"']
        fleet.start(f"node-{name}", [*command, *config], _build_environment(scratch / f"node-{port}"))
    _wait_until(fleet, "the SuperLink", lambda: _is_ready(ports[0]), setup.superlink_s)
    for name, path in sockets.items():
        _wait_until(fleet, f"the worker of {name}", path.is_socket, setup.worker_s)
    return superlink


def _build_listen_options(port: int) -> list[str]:
    return ["--host", _LOOPBACK, "--port", str(port)]


@dataclass
class _CoordinatorLiveness:
    """Detects a dead coordinator; Flower itself takes a minute to notice."""

    journal: Journal
    grace_s: float
    last_seen: float | None = None

    def is_dead(self) -> bool:
        now = time.monotonic()
        if self.journal.is_held():
            self.last_seen = now
        return self.last_seen is not None and now - self.last_seen > self.grace_s


def _wait_for_run(
    control: Control, run: int, fleet: ProcessGroup, journal: Journal, on_event: Listener | None, setup: ProcessSetup
) -> None:
    """Wait for the end of the run. Raises ExpectedError if the run or a process has failed."""
    tell, coordinator = _make_forwarder(journal, on_event), _CoordinatorLiveness(journal, setup.dead_s)
    pending_until = time.monotonic() + setup.pending_s
    while True:
        state = control.state(run)
        tell()  # after the state is read, so that no event of a finished run is missed
        if state.completed:
            return
        if state.finished or coordinator.is_dead():
            cause = journal.read_failure() or f"the coordinator stopped ({state.details.strip() or 'it was killed'})"
            raise ExpectedError(f"{cause}. See its log {fleet.log_path('superlink')}")
        if not state.started and time.monotonic() > pending_until:
            raise ExpectedError(
                f"expected a coordinator within {setup.pending_s:.0f} s, none started; "
                f"see {fleet.log_path('superlink')}"
            )
        fleet.check_running()
        time.sleep(setup.poll_s)


def _make_forwarder(journal: Journal, on_event: Listener | None) -> Callable[[], None]:
    """A function that passes new events to the listener."""
    events = journal.follow()

    def tell() -> None:
        while event := next(events):
            if on_event:
                on_event(event)

    return tell


def _wait_until(fleet: ProcessGroup, what: str, ready: Callable[[], bool], seconds: float) -> None:
    end = time.monotonic() + seconds
    while not ready():
        fleet.check_running()
        if time.monotonic() > end:
            raise ExpectedError(f"expected {what} to answer within {seconds:.0f} s, it did not; see {fleet.logs}")
        time.sleep(0.1)


def _is_ready(port: int) -> bool:
    return is_healthy(http.client.HTTPConnection(_LOOPBACK, port, timeout=5.0))


def _build_environment(home: Path) -> dict[str, str]:
    """The environment of Flower's processes: no telemetry, an own home, and the programs of this installation."""
    programs = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)))
    return {**os.environ, **_SILENT_FLOWER, **_ONE_THREAD, "FLWR_HOME": str(home), "PATH": programs}


def _find_script(name: str) -> str:
    path = Path(sys.executable).parent / name
    if not path.exists():
        raise ExpectedError(f"expected {path}, it is missing; install Flower here: pip install 'flwr~=1.41.0'")
    return str(path)


def _bypass_proxy() -> None:
    """Exclude loopback from HTTP_PROXY, which Flower's HTTP client would use for it."""
    hosts = [host for host in os.environ.get("NO_PROXY", os.environ.get("no_proxy", "")).split(",") if host]
    os.environ["NO_PROXY"] = os.environ["no_proxy"] = ",".join(dict.fromkeys([*hosts, _LOOPBACK, "localhost"]))
