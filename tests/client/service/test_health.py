from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from ceus_models.runtime.exit_codes import run_app
from ceus_models.runtime.liveness.heartbeat import Heartbeat
from ceus_models.runtime.liveness.moment import Moment, read_clock
from client.courier.folder import courier_of, socket_of, state_socket
from client.service.health import app, health_of
from client.service.watchdogs import CONTACT_S
from client.worker.status import WorkerStatus, serve_status


@pytest.fixture
def folder() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="ceus-test-"))
    (path / "run").mkdir()
    courier_of(path).state.mkdir(parents=True)
    yield path
    shutil.rmtree(path)


def heard(folder: Path, seconds_ago: float, ahead_s: float = 0.0, boot: str = "") -> None:
    """A contact so long ago, when the wall clock was ahead of today's; boot: of another start of the machine."""
    now = read_clock()
    then = Moment(now.at - seconds_ago + ahead_s, now.running - seconds_ago, boot or now.boot)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ceus_models.runtime.liveness.heartbeat.read_clock", lambda: then)
        Heartbeat(courier_of(folder).contact).beat()


def test_both_halves_must_be_able_to_answer(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run_app(app, [str(folder)]) == 1
    said = capfd.readouterr().out
    assert "FAULT worker: the worker reports no status" in said
    assert "FAULT courier: the coordinator has not been reached yet" in said
    heard(folder, 3)
    assert run_app(app, [str(folder)]) == 1
    assert run_app(app, [str(folder), "--part", "courier"]) == 0
    with serve_status(state_socket(socket_of(folder)), WorkerStatus("site-01")):
        capfd.readouterr()
        assert run_app(app, [str(folder), "--json"]) == 0
        found = json.loads(capfd.readouterr().out)
        assert [finding["name"] for finding in found["findings"]] == ["worker", "courier"]
        heard(folder, CONTACT_S + 5)
        assert run_app(app, [str(folder)]) == 1
        assert "has not been heard for 95 s" in capfd.readouterr().out
        assert run_app(app, [str(folder), "--part", "worker"]) == 0
    assert run_app(app, [str(folder), "--part", "nothing"]) == 1


def test_processes_that_live_are_not_enough(folder: Path) -> None:
    wrong, chosen = ["policy.yaml has a fault"], ["this site is paused since noon"]
    socket = socket_of(folder)
    with serve_status(state_socket(socket), WorkerStatus("site-01", lambda: (wrong[0], chosen[0]))):
        (found,) = health_of(folder, socket, ["worker"])
        assert (found.state, found.found) == ("fault", "policy.yaml has a fault")
        wrong[0] = ""
        (found,) = health_of(folder, socket, ["worker"])
        assert found.state == "ok"  # a pause is the hospital's own will
        assert "paused since noon" in found.found


def test_a_containers_check_loads_neither_torch_nor_flower(folder: Path) -> None:
    code = "import sys, client.service.health, client.service.service\n"
    code += "print([m for m in ('torch', 'flwr', 'cv2') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


def test_a_clock_that_was_ahead_hides_no_silence(folder: Path) -> None:
    heard(folder, CONTACT_S + 5, ahead_s=7200)
    (found,) = health_of(folder, socket_of(folder), ["courier"])
    assert (found.state, "has not been heard for 95 s" in found.found) == ("fault", True)
    heard(folder, 3, ahead_s=-7200)
    (found,) = health_of(folder, socket_of(folder), ["courier"])
    assert (found.state, found.found) == ("ok", "the coordinator answered 3 s ago")


def test_an_age_that_cannot_be_known_is_doubted(folder: Path) -> None:
    heard(folder, 3, ahead_s=7200, boot="another")
    (found,) = health_of(folder, socket_of(folder), ["courier"])
    assert (found.state, "at an unknown time: the clock was set back" in found.found) == ("fault", True)
