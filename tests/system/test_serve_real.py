"""A site as its hospital starts it, `ceus-site serve`, before a real coordinator and behind an HTTPS proxy.

Everything of it is killed once, and it goes on. Four to six minutes: a SuperNode that was killed waits for its lease.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psutil
import pytest
from connect_proxy import PASSWORD, USER, ConnectProxy, connect_proxy
from made_bundles import with_settings
from real_coordinator import NGINX, RealCoordinator, founded, program, started, wait
from small_hospital import SmallHospital

from ceus_models.runtime.exit_codes import run_app
from client.cli.main import app
from client.courier.folder import courier_of
from client.worker.audit.log import entries
from client.worker.audit.verify import verify

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(NGINX is None, reason="needs nginx (Debian: nginx-light)"),
]
PLAN = "processing: {frames_to_peak: 8, frames_after: 4, size: 32, flow_maps: 3, flow_size: 32, margin_px: 6}\n"
STUDY = f"name: tiny\n{PLAN}stages: [{{stage: hello}}]\n"
PATIENCE_S = 200.0


@dataclass
class Served:
    """A site and its service; answers: what the coordinator got of it."""

    coordinator: RealCoordinator
    folder: Path
    proxy: ConnectProxy
    content: bytes
    service: subprocess.Popen[bytes] | None = field(default=None)

    @property
    def out(self) -> Path:
        return self.coordinator.scratch / "answers"

    def start(self) -> None:
        """By the documented command."""
        command = [program("ceus-site"), "serve", str(self.folder)]
        with (self.coordinator.scratch / "serve.out").open("ab") as out:
            self.service = subprocess.Popen(command, env=self.environment(), stdout=out, stderr=out)

    def environment(self, password: str = PASSWORD) -> dict[str, str]:
        """With the hospital's proxy."""
        proxy = f"http://{USER}:{quote(password, safe='')}@127.0.0.1:{self.proxy.port}"
        env = {name: value for name, value in os.environ.items() if name.lower() not in ("no_proxy", "https_proxy")}
        return {**env, "HTTPS_PROXY": proxy}

    def preflight(self, password: str = PASSWORD) -> dict[str, Any]:
        """Its findings by name."""
        command = [program("ceus-site"), "preflight", str(self.folder), "--json"]
        done = subprocess.run(command, check=False, capture_output=True, env=self.environment(password))
        return {finding["name"]: finding for finding in json.loads(done.stdout)["findings"]}

    def answers(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.read_text().splitlines()] if self.out.exists() else []

    def updates_since(self, at: float) -> int:
        return sum("update" in answer for answer in self.answers() if answer["at"] > at)

    def pid(self, name: str) -> int:
        """The newest process of that name, as the service told it."""
        log = courier_of(self.folder).logs if name != "worker" else self.folder / ".ceus" / "logs"
        events = [json.loads(line) for line in (log / "service.log").read_text().splitlines()]
        return int([event["pid"] for event in events if event["event"] == "started" and event["service"] == name][-1])

    def health(self) -> int:
        command = [program("ceus-site"), "health", str(self.folder)]
        return subprocess.run(command, check=False, capture_output=True).returncode

    def ask(self, content: bytes, out: Path) -> None:
        with self.coordinator.control() as control:
            control.submit({"out": str(out), "plan": "ab" * 32}, content)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    scratch = tmp_path_factory.mktemp("r")
    made, front, superlink = founded(scratch)
    folder = scratch / "hospital"
    folder.mkdir()
    SmallHospital(folder, 3).write()
    plan, approved = scratch / "plan.yaml", scratch / "bundle.fab"
    plan.write_text(PLAN)
    content = made.bundle(STUDY, "watching_app:app")
    approved.write_bytes(content)
    assert run_app(app, ["index", str(folder), "--plan", str(plan), "--workers", "1"]) == 0
    made.joined(folder)
    assert run_app(app, ["approve", str(folder), str(approved), "--yes"]) == 0
    with started(made, front, superlink, scratch) as coordinator, connect_proxy(f"localhost:{front}") as proxy:
        site = Served(coordinator, folder, proxy, content)
        site.start()
        site.ask(content, site.out)
        yield site
        site.out.with_suffix(".stop").touch()
        if site.service and site.service.poll() is None:
            site.service.terminate()
            site.service.wait(30)


def test_it_answers_through_the_proxy_and_says_that_it_can(served: Served) -> None:
    wait(lambda: served.updates_since(0.0), PATIENCE_S, "the first answer")
    answer = next(answer for answer in served.answers() if "update" in answer)
    assert (answer["update"], answer["names"]) == ("site-01", ["training_b|lesions", "training_b|patients"])
    assert set(served.proxy.asked) == {f"CONNECT localhost:{served.coordinator.front}"}
    assert served.proxy.bytes > 1000
    wait(lambda: '"serving"' in (served.coordinator.scratch / "serve.out").read_text(), 30, "the word that it serves")
    assert served.health() == 0


def test_preflight_sees_the_line_by_the_same_way(served: Served) -> None:
    found = served.preflight()
    assert [finding for finding in found.values() if finding["state"] == "fault"] == []
    assert f"by the proxy 127.0.0.1:{served.proxy.port}" in found["proxy"]["found"]
    assert PASSWORD not in str(found)
    assert found["TLS"]["state"] == found["clock"]["state"] == "ok"
    assert "MB/s" in found["upload"]["found"]
    for name, finding in found.items():
        print(f"{finding['state']:5} {name}: {finding['found']}")
    closed = served.preflight("another")["TLS"]
    assert closed["state"] == "fault"
    assert "does not let this machine through" in closed["found"]
    assert "HTTPS_PROXY=http://user:password@host:port" in closed["remedy"]


@pytest.mark.parametrize("name", ["runner", "worker", "node"])
def test_what_is_killed_is_started_again_and_the_site_answers(served: Served, name: str) -> None:
    wait(lambda: served.updates_since(time.time() - 10), PATIENCE_S, "an answer before")
    before = served.pid(name)
    os.kill(before, signal.SIGKILL)
    at = time.time()
    wait(lambda: served.pid(name) != before, 60, "another process")
    again = time.time() - at
    wait(lambda: served.updates_since(at + 1), PATIENCE_S, "an answer after")
    print(f"kill -9 of the {name}: started again after {again:.1f} s, answered after {time.time() - at:.0f} s")
    assert served.service
    assert served.service.poll() is None


def test_killed_itself_it_leaves_nothing_behind_and_goes_on_by_the_same_command(served: Served) -> None:
    wait(lambda: served.updates_since(time.time() - 10), PATIENCE_S, "an answer before")
    family = [psutil.Process(served.pid(name)) for name in ("worker", "node", "runner")]
    assert served.service
    served.service.kill()
    served.service.wait(10)
    wait(lambda: not any(map(lives, family)), 20, "the end of all its processes")
    at = time.time()
    assert served.health() == 1
    served.start()
    wait(lambda: served.updates_since(at), PATIENCE_S, "an answer after")
    print(f"kill -9 of serve: answered {time.time() - at:.0f} s after the same command")


def test_what_is_not_approved_is_refused_and_in_the_audit(served: Served) -> None:
    other = with_settings("settings of a", "settings of b", served.content)
    out = served.coordinator.scratch / "others"
    served.ask(other, out)
    wait(out.exists, PATIENCE_S, "the refusal")
    out.with_suffix(".stop").touch()
    refused = json.loads(out.read_text().splitlines()[0])
    assert (refused["code"], "is not approved at this site" in refused["reason"]) == (7, True)
    written = [entry["reason"] for entry in entries(served.folder / "records") if entry["kind"] == "refusal"]
    assert f"the courier refused: {refused['reason']}" in written


def test_asked_to_stop_it_ends_whole(served: Served) -> None:
    """The last test."""
    family = [psutil.Process(served.pid(name)) for name in ("worker", "node", "runner")]
    assert served.service
    begun = time.monotonic()
    served.service.terminate()
    assert served.service.wait(30) == 0
    print(f"SIGTERM: ended after {time.monotonic() - begun:.1f} s")
    assert not any(map(lives, family))
    assert [entry["kind"] for entry in entries(served.folder / "records")][-1] == "stop"
    assert verify(served.folder / "records").ok
    assert not list(served.folder.rglob(".part-*"))
    kinds = {entry["kind"] for entry in entries(served.folder / "records")}
    assert {"approval", "start", "policy", "task", "layout", "answer", "refusal", "stop"} <= kinds
    for log in served.folder.rglob("*.log"):  # one JSON object a line, and nothing of a patient
        assert all(isinstance(json.loads(line), dict) for line in log.read_text().splitlines()), log
        assert not any(word in log.read_text() for word in ("P0", "L0", "clips/", "2021-05-06"))


def lives(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
