"""A coordinator and sites on this machine, made and started only by the commands that the documents name."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from ceus_models.process_tree import Fleet

ROOT = Path(__file__).parent.parent
BIN = Path(sys.executable).parent
NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
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


def _said(words: Sequence[object], code: int = 0) -> str:
    called = [str(word) for word in words]
    done = subprocess.run(called, capture_output=True, text=True, env=ENVIRONMENT, timeout=900, check=False)
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


@dataclass
class Federation:
    """study: the coordinator's folder · sites: hospitals' folders by name · fleet: the long-lived commands.

    address: of the front door · within: what stands before the commands of a site, or of COORDINATOR, where it has a
    network of its own · proxies: HTTPS_PROXY of a site.
    """

    study: Path
    sites: dict[str, Path]
    fleet: Fleet
    address: str = "localhost"
    within: Mapping[str, Sequence[str]] = field(default_factory=dict)
    proxies: Mapping[str, str] = field(default_factory=dict)
    front: int = 0
    superlink: int = 0

    def found(self, plan: Path, seed: int) -> str:
        """From nothing to a federation; its id."""
        self.front, self.superlink = ports(2)
        command("ceus-coordinator", "init", self.study)
        listed = ", ".join(sorted(self.sites))
        (self.study / "federation.yaml").write_text(
            f"schema: 1\nname: lab\naddress: {self.address}:{self.front}\nsuperlink_port: {self.superlink}\n"
            f"seed: {seed}\nsites: [{listed}]\n"
        )
        shutil.copyfile(plan, self.study / "plan.yaml")
        said = command("ceus-coordinator", "init", self.study)
        return " ".join(said.split()).partition("federation: ")[2].split()[0]

    def enrol(self, name: str, identity: str) -> None:
        """From a hospital's folder to a site that has approved the study."""
        folder = self.sites[name]
        command("ceus-site", "keys", folder, "--federation", identity, "--site", name)
        command("ceus-coordinator", "enrol", self.study, folder / "courier" / "request.json", "--yes")
        command("ceus-site", "join", folder, self.study / "kits" / f"{name}.kit.json")
        command("ceus-site", "approve", folder, self.study / "study" / "bundle.fab", "--yes")

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
            wait(lambda name=name: any(e["event"] == "serving" for e in self.events(name)), 240, f"{name} serving")

    def forget_run(self) -> None:
        """A new study on the same folders: the run and what the sites remember of it are gone."""
        shutil.rmtree(self.study / "run", ignore_errors=True)
        for folder in self.sites.values():
            shutil.rmtree(folder / ".ceus" / "memory", ignore_errors=True)

    def start(self, name: str, words: Sequence[str], ready: str) -> None:
        """Start a long-lived command and wait for its event `ready`."""
        before = len(self.events(name))
        proxy = {"HTTPS_PROXY": self.proxies[name]} if name in self.proxies else {}
        self.fleet.start(name, words, ENVIRONMENT | proxy)
        if ready:
            wait(lambda: any(e["event"] == ready for e in self.events(name)[before:]), 180, f"{name} {ready}")

    def events(self, name: str) -> list[dict[str, Any]]:
        """What a long-lived command said."""
        log = self.fleet.log(name)
        lines = log.read_text().splitlines() if log.exists() else []
        return [json.loads(line) for line in lines if line.startswith("{")]

    def status(self) -> dict[str, Any]:
        words = [*self.within.get(COORDINATOR, ()), BIN / "ceus-coordinator", "status", self.study, "--json"]
        found = json.loads(_said(words))
        assert isinstance(found, dict)
        return found

    def state(self) -> dict[str, Any]:
        """How the run stands, without waiting for a command."""
        path = self.study / "run" / "state.json"
        found = json.loads(path.read_text()) if path.exists() else {"phase": "none"}
        assert isinstance(found, dict)
        return found

    def results(self) -> dict[str, Any]:
        found = json.loads((self.study / "run" / "results.json").read_text())
        assert isinstance(found, dict)
        return found

    def stop(self, name: str) -> None:
        """End a long-lived command as an operator does."""
        self.fleet.stop(name)

    def told(self) -> list[dict[str, Any]]:
        """The run's events so far, with their times."""
        path = self.study / "run" / "events.jsonl"
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
