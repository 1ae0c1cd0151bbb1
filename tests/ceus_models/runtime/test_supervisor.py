from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from ceus_models.runtime.process_tree import ProcessGroup
from ceus_models.runtime.supervisor import Service, StopRequested, Supervisor

LIVES = "import time; print('here', flush=True); time.sleep(600)"
LEAVES_A_CHILD = (
    "import subprocess, sys; p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']);"
    "print(p.pid, flush=True); sys.exit(3)"
)


def stepped(supervisor: Supervisor, until: Callable[[], object]) -> None:
    end = time.monotonic() + 20
    while not until():
        assert time.monotonic() < end
        supervisor.step()
        time.sleep(0.02)


def service(name: str, code: str) -> Service:
    return Service(name, [sys.executable, "-c", code], dict(os.environ))


def test_who_is_killed_is_started_again_and_both_are_told(tmp_path: Path) -> None:
    told: list[Any] = []
    with ProcessGroup(tmp_path) as fleet:
        supervisor = Supervisor(fleet, [service("a", LIVES)], told.append)
        supervisor.step()
        assert supervisor.is_running("a")
        os.kill(told[0]["pid"], signal.SIGKILL)
        stepped(supervisor, lambda: [e["event"] for e in told].count("started") == 2)
        assert [e["event"] for e in told] == ["started", "ended", "started"]
        assert (told[1]["code"], told[1]["again_s"]) == (-signal.SIGKILL, 1.0)
        assert told[2]["pid"] != told[0]["pid"]


def test_who_ends_at_once_is_started_again_later_each_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Any] = []
    with ProcessGroup(tmp_path) as fleet:
        supervisor = Supervisor(fleet, [service("a", "print('no'); raise SystemExit(7)")], told.append)
        shift = [0.0]
        clock = time.monotonic
        monkeypatch.setattr("ceus_models.runtime.supervisor.time.monotonic", lambda: clock() + shift[0])
        for number in range(8):
            stepped(supervisor, lambda n=number: [e["event"] for e in told].count("ended") > n)  # type: ignore[misc]
            shift[0] += told[-1]["again_s"]
    pauses = [e["again_s"] for e in told if e["event"] == "ended"]
    assert pauses[:8] == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0]
    assert {e["said"] for e in told if e["event"] == "ended"} == {"no"}


def test_what_a_dead_service_leaves_behind_is_ended(tmp_path: Path) -> None:
    told: list[Any] = []
    with ProcessGroup(tmp_path) as fleet:
        supervisor = Supervisor(fleet, [service("a", LEAVES_A_CHILD)], told.append)
        stepped(supervisor, lambda: any(e["event"] == "ended" for e in told))
        child = int(fleet.log_path("a").read_text().split()[0])
        stepped(supervisor, lambda: not psutil.pid_exists(child) or psutil.Process(child).status() == "zombie")


def test_a_service_of_no_use_is_started_again_on_request(tmp_path: Path) -> None:
    told: list[Any] = []
    with ProcessGroup(tmp_path, grace_s=1.0) as fleet:
        supervisor = Supervisor(fleet, [service("a", LIVES)], told.append)
        supervisor.restart("a", "it does not run")
        supervisor.step()
        supervisor.restart("a", "it took no run")
        assert not supervisor.is_running("a")
        supervisor.step()
        assert supervisor.is_running("a")
    assert [e["event"] for e in told] == ["started", "restarted", "started"]


def test_sigterm_and_ctrl_c_ask_to_stop() -> None:
    for kind in (signal.SIGTERM, signal.SIGINT):
        with StopRequested() as stop:
            assert not stop.wait(0.0)
            os.kill(os.getpid(), kind)
            assert stop.wait(1.0)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
