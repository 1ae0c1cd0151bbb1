"""`ceus-coordinator up`: SuperLink, SuperExec and the runs of all studies, kept going until this process is stopped."""

from __future__ import annotations

import shutil
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path

from ceus_models.pki.enrolment import utc_now
from ceus_models.runtime.errors import ExpectedError
from ceus_models.runtime.file_locks import hold_lock
from ceus_models.runtime.liveness.heartbeat import Heartbeat
from ceus_models.runtime.process_tree import ProcessGroup
from ceus_models.runtime.supervisor import EventLog, Service, StopRequested, Supervisor
from server.federation.federation_file import Federation
from server.federation.node_roster import is_up, listens, open_control, synchronise
from server.federation.site_register import read_register
from server.operations.disk_room import find_shortage
from server.operations.health import is_superlink_healthy
from server.operations.launcher import Launcher
from server.operations.services import SUPEREXEC, SUPERLINK, build_services, front_door_service
from server.run_folder.paths import Home
from server.run_folder.studies import list_studies
from server.transport.superlink_control import Control

_LOOK_S = 1.0
_ROSTER_S = 60.0  # certificates that expire are shut out within this time
_SILENT_S = 30.0  # so long may the SuperLink fail before it is told once more
_HUNG_S = 180.0  # a SuperLink that runs and has answered nothing for so long is started again
_GRACE_S = 15.0


def run_daemon(home: Home, federation: Federation, told: EventLog, front_door: bool = False) -> None:
    """Run and supervise all services until SIGTERM or Ctrl-C; no process is left in any case.

    front_door: whether nginx is one of them.

    Raises:
        ExpectedError: if the folder is incomplete, its port is in use, or another `up` runs for it.
    """
    check_complete(home)
    home.database.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with ExitStack() as stack:
        busy = ExpectedError(f"`ceus-coordinator up` runs already for {home.folder}; stop that one first")
        stack.enter_context(hold_lock(home.up_lock, busy))
        if is_up(federation):
            raise ExpectedError(
                f"something listens on port {federation.superlink_port} of this machine already: stop it, or give "
                "another superlink_port in federation.yaml and run `ceus-coordinator init`"
            )
        services = (*build_services(home, federation), *(_list_front_door(home, federation) if front_door else ()))
        stop = stack.enter_context(StopRequested())
        fleet = stack.enter_context(ProcessGroup(home.logs, _GRACE_S))
        loop = _Loop(home, federation, Supervisor(fleet, services, told), told)
        while not stop.wait(_LOOK_S):
            loop.step()
            if not loop.shortage:
                fleet.rotate_logs()
        told({"event": "stopping"})


def _list_front_door(home: Home, federation: Federation) -> list[Service]:
    """The front door. Raises ExpectedError where there is no nginx, or something has its port."""
    nginx = find_nginx()
    if nginx is None:
        raise ExpectedError(
            "expected nginx for --front-door, found none on this machine: install it (Debian: apt-get install "
            "nginx-light), or leave --front-door out and let it run elsewhere"
        )
    if listens(federation.port):
        raise ExpectedError(
            f"something listens on port {federation.port} of this machine already: if that is the front door, leave "
            "--front-door out, else stop it"
        )
    return [front_door_service(home, nginx)]


class _Loop:
    def __init__(self, home: Home, federation: Federation, supervisor: Supervisor, told: EventLog) -> None:
        self._home, self._federation, self._told = home, federation, told
        self._supervisor = supervisor
        self._launchers: dict[str, Launcher] = {}
        self._pulse = Heartbeat(home.up_heartbeat)
        self._ready = False
        self._roster_due = self._complain_at = 0.0
        self._answered = time.monotonic()
        self.shortage = ""

    def step(self) -> None:
        """Check everything once. A SuperLink that does not answer, or a full disk, is reported and tried again."""
        self._supervisor.step()
        self._pulse.beat(self._find_trouble())

    def _find_trouble(self) -> str:
        """What hinders the run on this side; "" if nothing does."""
        self.shortage = find_shortage(self._home)
        if self.shortage:  # a SuperLink that cannot write is not hung, and nothing that it refuses is a death
            self._answered = time.monotonic()
            return self._report_trouble(self.shortage)
        trouble = ""
        if not is_up(self._federation):
            self._ready = False
            trouble = f"the SuperLink does not listen; it said last: {self._supervisor.read_last_log_line(SUPERLINK)}"
        else:
            try:
                with open_control(self._home, self._federation, utc_now()) as control:
                    self._serve_run(control)
                self._answered = time.monotonic()
            except ExpectedError as error:
                trouble = self._report_trouble(find_shortage(self._home, probe=True) or str(error))
            except OSError as error:
                what = error.filename or "a file"
                trouble = self._report_trouble(
                    f"{what}: {error.strerror or type(error).__name__}; make room, or mend the disk"
                )
        if trouble:
            self._start_hung_again()
        return trouble

    def _start_hung_again(self) -> None:
        """Restart a SuperLink that runs but has failed its health check for a long time."""
        silent = min(time.monotonic() - self._answered, self._supervisor.uptime(SUPERLINK))
        if silent > _HUNG_S and not is_superlink_healthy(self._home, self._federation):
            self._supervisor.restart(SUPERLINK, f"it answered nothing for {silent:.0f} s")

    def _serve_run(self, control: Control) -> None:
        if not self._ready or time.monotonic() >= self._roster_due:
            for line in synchronise(control, read_register(self._home), utc_now()):
                self._told({"event": "site", "said": line})
            self._roster_due = time.monotonic() + _ROSTER_S
        if not self._ready:
            self._stop_strays(control)
            self._told({"event": "ready", "port": self._federation.superlink_port})
            self._ready = True
        self._step_launchers(control)

    def _step_launchers(self, control: Control) -> None:
        """Look after each study, also one that was added since. Raises the first error, when all had their turn."""
        studies = {study.name: study for study in list_studies(self._home)}
        self._launchers = {name: one for name, one in self._launchers.items() if name in studies}
        faults: list[Exception] = []
        for name, study in studies.items():
            try:
                if name not in self._launchers:
                    self._launchers[name] = Launcher(study, self._told, self._unwedge)
                self._launchers[name].step(control)
            except (ExpectedError, OSError) as error:  # the other studies go on
                faults.append(error)
        if faults:
            raise faults[0]

    def _stop_strays(self, control: Control) -> None:
        """Stop runs that were left in the database by a study that is gone, or by the folder's former layout."""
        folders = {str(study.run) for study in list_studies(self._home)}
        for run, folder in control.list_unfinished().items():
            if folder not in folders:
                control.stop(run)

    def _unwedge(self) -> None:
        self._supervisor.restart(SUPEREXEC, "it took no run")

    def _report_trouble(self, why: str) -> str:
        if time.monotonic() >= self._complain_at:
            self._told({"event": "trouble", "said": why})
            self._complain_at = time.monotonic() + _SILENT_S
        return why


def check_complete(home: Home) -> None:
    """Raises ExpectedError where `init` has not made what `up` needs."""
    needed = (home.ca, home.superlink, home.superlink_key, home.superexec_secret, home.nginx)
    missing = [str(path.relative_to(home.folder)) for path in needed if not path.exists()]
    if missing:
        raise ExpectedError(f"{home.folder} lacks {', '.join(missing)}: run `ceus-coordinator init {home.folder}`")


def find_front_fault(home: Home) -> str | None:
    """What nginx says against its configuration; None if it is well, or no nginx is installed here."""
    nginx = find_nginx()
    if nginx is None:
        return None
    done = subprocess.run(
        [nginx, "-t", "-q", "-c", str(home.nginx)], capture_output=True, text=True, timeout=30, check=False
    )
    # nginx opens its port even for a check, which another user, or none below 1024, may do
    said = [line for line in done.stderr.splitlines() if "[emerg]" in line and " bind() to " not in line]
    return said[0] if done.returncode and said else None


def find_nginx() -> str | None:
    """Where nginx is, on systems that keep it out of a user's path too."""
    found = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
    return str(Path(found)) if found else None
