"""A coordinator and sites on this machine, made and started only by the commands that the documents name."""

from __future__ import annotations

import io
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

import client.cli.main
import server.cli.main
from ceus_models.runtime.exit_codes import run_app
from ceus_models.runtime.process_tree import ProcessGroup

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
_APPS = {"ceus-coordinator": server.cli.main.app, "ceus-site": client.cli.main.app}
ENVIRONMENT = {
    **os.environ,
    "PYTHONPATH": str(ROOT),
    "NO_PROXY": "localhost,127.0.0.1",
    "OMP_NUM_THREADS": "1",
    "PYTHONUNBUFFERED": "1",
}


def command(name: str, *arguments: object, code: int = 0) -> str:
    """One command to its end; what it said."""
    return _said([BIN / name, *arguments], code)


def here(name: str, *arguments: object) -> str:
    """The same command in this process: no start, which costs seconds of a processor."""
    told = io.StringIO()
    with redirect_stdout(told), redirect_stderr(told):
        code = run_app(_APPS[name], [str(argument) for argument in arguments])
    assert code == 0, f"{name} {arguments}: {code}\n{told.getvalue()}"
    return told.getvalue()


def _said(words: Sequence[object], code: int = 0) -> str:
    called = [str(word) for word in words]
    done = subprocess.run(called, capture_output=True, text=True, env=ENVIRONMENT, timeout=2000, check=False)
    assert done.returncode == code, f"{called}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout + done.stderr


def ports(count: int) -> list[int]:
    with ExitStack() as stack:
        held = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in held:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in held]


def wait(ready: Callable[[], object], seconds: float, what: str) -> None:
    end = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < end, f"{what}: not within {seconds} s"
        time.sleep(0.3)


COORDINATOR = "coordinator"
_SIGNS = {
    "server.transport.superlink": "SuperLink",
    "flower-superexec": "SuperExec",
    "ceus-coordinator up": "up",
    "nginx": "front door",
    "client.service.service": "serve",
    "client.worker.process": "worker",
    "client.courier.supernode": "node",
    "client.courier.runner": "runner",
}


@dataclass
class Federation:
    """study: the coordinator's folder · sites: hospitals' folders by name · fleet: the long-lived commands.

    call: how the short commands are run · address: of the front door · within: what stands before the commands of a
    site, or of COORDINATOR, where it has a network of its own · proxies: HTTPS_PROXY of a site.
    """

    study: Path
    sites: dict[str, Path]
    fleet: ProcessGroup
    call: Callable[..., str] = command
    address: str = "localhost"
    within: Mapping[str, Sequence[str]] = field(default_factory=dict)
    proxies: Mapping[str, str] = field(default_factory=dict)
    front: int = 0
    superlink: int = 0

    def found(self, plan: Path, seed: int) -> str:
        """From nothing to a federation; its id."""
        self.front, self.superlink = ports(2)
        self.call("ceus-coordinator", "init", self.study)
        listed = ", ".join(sorted(self.sites))
        (self.study / "federation.yaml").write_text(
            f"schema: 1\nname: lab\naddress: {self.address}:{self.front}\nsuperlink_port: {self.superlink}\n"
            f"seed: {seed}\nsites: [{listed}]\n"
        )
        shutil.copyfile(plan, self.study / "plan.yaml")
        said = self.call("ceus-coordinator", "init", self.study)
        return " ".join(said.split()).partition("federation: ")[2].split()[0]

    def enrol(self, name: str, identity: str) -> None:
        """From a hospital's folder to a site that has approved the study."""
        folder = self.sites[name]
        self.call("ceus-site", "keys", folder, "--federation", identity, "--site", name)
        self.call("ceus-coordinator", "enrol", self.study, folder / "courier" / "request.json", "--yes")
        self.call("ceus-site", "join", folder, self.study / "kits" / f"{name}.kit.json")
        self.approve(name)

    def approve(self, site: str, study: str = "") -> None:
        """A site's IT lets the bundle of a study run."""
        self.call("ceus-site", "approve", self.sites[site], self.of_study(study) / "bundle.fab", "--yes")

    def join_all(self, plan: Path, seed: int) -> None:
        """From nothing to sites that have all approved the study, of which none remembers a run in memory."""
        identity = self.found(plan, seed)
        for name in self.sites:
            self.enrol(name, identity)
        self.forget_run()

    def up(self) -> None:
        """The daemon, until it is ready."""
        words = [*self.within.get(COORDINATOR, ()), str(BIN / "ceus-coordinator"), "up", str(self.study)]
        self.start("up", words, "ready")

    def open_front(self) -> None:
        """The front door."""
        assert NGINX
        conf = str(self.study / "front" / "nginx.conf")
        words = [*self.within.get(COORDINATOR, ()), NGINX, "-c", conf, "-g", "daemon off;"]
        self.fleet.start("nginx", words, ENVIRONMENT)

    def serve(self, name: str, ready: bool = True) -> None:
        """A site's service. ready: wait until it is."""
        words = [*self.within.get(name, ()), str(BIN / "ceus-site"), "serve", str(self.sites[name])]
        self.start(name, words, "serving" if ready else "")

    def serve_all(self) -> None:
        """All sites at once."""
        for name in self.sites:
            self.serve(name, ready=False)
        for name in self.sites:
            wait(lambda name=name: any(e["event"] == "serving" for e in self.events(name)), 900, f"{name} serving")

    def forget_run(self) -> None:
        """A new study on the same folders: the run and what the sites remember of it are gone."""
        shutil.rmtree(self.of_study() / "run", ignore_errors=True)
        for folder in self.sites.values():
            shutil.rmtree(folder / ".ceus" / "memory", ignore_errors=True)

    def start(self, name: str, words: Sequence[str], ready: str) -> None:
        """Start a long-lived command and wait for its event `ready`."""
        before = len(self.events(name))
        proxy = {"HTTPS_PROXY": self.proxies[name], "NO_PROXY": ""} if name in self.proxies else {}
        self.fleet.start(name, words, ENVIRONMENT | proxy)
        if ready:
            wait(lambda: any(e["event"] == ready for e in self.events(name)[before:]), 180, f"{name} {ready}")

    def events(self, name: str) -> list[dict[str, Any]]:
        """What a long-lived command said."""
        log = self.fleet.log_path(name)
        lines = log.read_text().splitlines() if log.exists() else []
        return [json.loads(line) for line in lines if line.startswith("{")]

    def of_study(self, name: str = "") -> Path:
        """The folder of a study; the only one without a name."""
        if name:
            return self.study / "studies" / name
        (found,) = (self.study / "studies").iterdir()
        return found

    def order(self, study: str = "", *more: str) -> None:
        """Have a study run, or go on, without following it."""
        which = ("--study", study) if study else ()
        self.call("ceus-coordinator", "run", self.study, *which, *more, "--detach")

    def wait_over(self, seconds: float, study: str = "") -> str:
        """The phase in which the run ended."""
        ordered = json.loads((self.of_study(study) / "run" / "order.json").read_text())["id"]

        def is_over() -> bool:
            state = self.state(study)
            return state.get("order") == ordered and state["phase"] in ("done", "failed", "stopped")

        wait(is_over, seconds, f"the end of the run {study}")
        return str(self.state(study)["phase"])

    def status(self) -> dict[str, Any]:
        words = [*self.within.get(COORDINATOR, ()), BIN / "ceus-coordinator", "status", self.study, "--json"]
        found = json.loads(_said(words))
        assert isinstance(found, dict)
        return found

    def state(self, study: str = "") -> dict[str, Any]:
        """How the run stands, without waiting for a command."""
        path = self.of_study(study) / "run" / "state.json"
        found = json.loads(path.read_text()) if path.exists() else {"phase": "none"}
        assert isinstance(found, dict)
        return found

    def results(self) -> dict[str, Any]:
        found = json.loads((self.of_study() / "run" / "results.json").read_text())
        assert isinstance(found, dict)
        return found

    def stop(self, name: str) -> None:
        """End a long-lived command as an operator does."""
        self.fleet.stop(name)

    def begin(self, plan: Path, seed: int) -> None:
        """Found it, let all sites join, and start everything."""
        self.join_all(plan, seed)
        self.up()
        self.open_front()
        self.serve_all()

    def kinds(self, folder: Path) -> dict[str, list[psutil.Process]]:
        """What runs of one side, by what it is. folder: the study's, or a site's."""
        found: dict[str, list[psutil.Process]] = {}
        for pid in self.pids("", folder):
            with suppress(psutil.Error):
                process = psutil.Process(pid)
                words = " ".join(process.cmdline())
                for what in (what for sign, what in _SIGNS.items() if sign in words):
                    found.setdefault(what, []).append(process)
        for executor in found.get("SuperExec", []):  # the command line of its child names no folder
            with suppress(psutil.Error):
                found.setdefault("ServerApp", []).extend(executor.children(recursive=True))
        return {what: processes for what, processes in found.items() if processes}

    def told(self, study: str = "") -> list[dict[str, Any]]:
        """The run's events so far, with their times."""
        path = self.of_study(study) / "run" / "events.jsonl"
        lines = path.read_text().splitlines() if path.exists() else []
        return [json.loads(line) for line in lines if line.endswith("}")]

    def pids(self, program: str, folder: Path | None = None) -> list[int]:
        """Processes of this federation: with `program` in their command line, and the folder of their side."""
        mine = str(folder or self.study)
        found = []
        for process in psutil.process_iter(["cmdline"]):
            words = " ".join(process.info["cmdline"] or [])
            if program in words and mine in words:
                found.append(process.pid)
        return found
