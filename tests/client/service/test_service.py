"""The service with parts that do nothing heavy; tests/system/test_serve_real.py has the real ones."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from client.courier.folder import courier_of
from client.service.service import command, courier_environment

STARTED = """
import sys, time
from pathlib import Path
import client.service.service
from client.courier.folder import courier_of
from ceus_models.runtime.exit_codes import run_cli
from ceus_models.runtime.supervisor import Service

def sleeping(name, env):
    return Service(name, [sys.executable, "-c", "print('{}', flush=True); import time; time.sleep(600)"], dict(env))

client.service.service._worker = lambda folder, socket, site: sleeping("worker", {})
client.service.service._courier = lambda courier, socket: [sleeping("node", {}), sleeping("runner", {})]
run_cli(client.service.service.cli)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "site-01"
    path.mkdir()
    (path / ".ceus").mkdir()
    courier_of(path).state.mkdir(parents=True)
    return path


@pytest.fixture
def service(folder: Path) -> Iterator[subprocess.Popen[str]]:
    words = command(folder, folder / "run" / "w.sock", "site-01", folder / ".ceus" / "logs", courier=True)[4:]
    started = subprocess.Popen([sys.executable, "-c", STARTED, *words], stdout=subprocess.PIPE, text=True)
    yield started
    if started.poll() is None:
        started.kill()
    started.communicate()


def pids(folder: Path) -> dict[str, int]:
    """The newest of each part."""
    found = {}
    for log in (folder / ".ceus" / "logs" / "service.log", courier_of(folder).logs / "service.log"):
        for line in log.read_text().splitlines() if log.exists() else ():
            event = json.loads(line)
            if event["event"] == "started":
                found[event["service"]] = event["pid"]
    return found


def wait_for(condition: Callable[[], object]) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_a_part_that_dies_is_started_again_and_all_end_when_it_is_asked_to(
    folder: Path, service: subprocess.Popen[str]
) -> None:
    wait_for(lambda: len(pids(folder)) == 3)
    first = pids(folder)
    os.kill(first["node"], signal.SIGKILL)
    wait_for(lambda: pids(folder)["node"] != first["node"])
    assert {name: pid for name, pid in pids(folder).items() if name != "node"} == {
        name: pid for name, pid in first.items() if name != "node"
    }
    service.terminate()
    said, _ = service.communicate(timeout=20)
    assert service.returncode == 0
    assert all(map(gone, pids(folder).values()))
    events = [json.loads(line) for line in said.splitlines()]
    assert [event["event"] for event in events].count("started") == 4
    assert events[-1]["event"] == "stopping"
    ended = next(event for event in events if event["event"] == "ended")
    assert (ended["service"], ended["code"]) == ("node", -9)


def test_killed_it_leaves_nothing_and_only_one_runs_in_a_folder(folder: Path, service: subprocess.Popen[str]) -> None:
    wait_for(lambda: len(pids(folder)) == 3)
    words = command(folder, folder / "w.sock", "site-01", None, courier=True)
    second = subprocess.run(words, check=False, capture_output=True, text=True, timeout=60)
    assert second.returncode == 1
    assert "another service keeps the courier of this folder running" in second.stderr
    service.kill()
    wait_for(lambda: all(map(gone, pids(folder).values())))


def test_the_proxy_is_kept_and_never_stands_between_the_two_of_one_machine(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:3128")
    monkeypatch.setenv("NO_PROXY", "intranet")
    env = courier_environment(courier_of(folder))
    assert env["HTTPS_PROXY"] == "http://proxy:3128"
    assert env["NO_PROXY"] == env["no_proxy"] == "intranet,127.0.0.1"
    assert env["FLWR_TELEMETRY_ENABLED"] == "0"
    assert Path(env["FLWR_HOME"]).is_relative_to(courier_of(folder).state)
