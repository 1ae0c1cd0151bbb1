"""The site of the compose file before a real coordinator, its containers made by the kernel's own means.

The very commands, users, mounts and networks of `compose.site.yaml`: it answers, and its halves are apart. Two minutes.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from contained import Contained, can_contain
from deployment_files import compose
from real_coordinator import NGINX, founded, started, wait
from small_hospital import SmallHospital

from ceus_models.runtime.exit_codes import run_app
from client.cli.main import app

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(NGINX is None, reason="needs nginx (Debian: nginx-light)"),
    pytest.mark.skipif(
        os.name != "posix" or os.geteuid() != 0 or not can_contain(), reason="needs root and namespaces"
    ),
]
PLAN = "processing: {frames_to_peak: 8, frames_after: 4, size: 32, flow_maps: 3, flow_size: 32, margin_px: 6}\n"
STUDY = f"name: tiny\n{PLAN}stages: [{{stage: hello}}]\n"
HOME, SOCKET = "/sites/site-01", "/run/ceus/worker.sock"
ASK = "import socket, sys; s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); print('connected')"
DIAL = "import socket; socket.create_connection(('127.0.0.1', {port}), 5); print('connected')"


@dataclass(frozen=True)
class Running:
    courier: Contained
    worker: Contained
    answers: Path
    front: int


def own(path: Path, user: int, mode: int = 0o700) -> None:
    """Give a folder and all in it to a user, as docs/deployment.md does with `install`."""
    for one in (path, *path.rglob("*")):
        os.chown(one, user, user)
    path.chmod(mode)


def contained(name: str, scratch: Path, folder: Path, socket: Path) -> Contained:
    place = "/srv/ceus/site-01"
    below = ("", "/.ceus", "/records", "/courier", "/courier/state")
    sources = {**{place + part: Path(f"{folder}{part}") for part in below}, "socket": socket}
    root = scratch / f"root-{name}"
    root.mkdir()
    return Contained(compose("compose.site.yaml")["services"][name], sources, root)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    scratch = tmp_path_factory.mktemp("contained")
    made, front, superlink = founded(scratch)
    folder, plan, approved = scratch / "hospital", scratch / "plan.yaml", scratch / "bundle.fab"
    folder.mkdir()
    SmallHospital(folder, 3).write()
    plan.write_text(PLAN)
    approved.write_bytes(content := made.bundle(STUDY, "watching_app:app"))
    assert run_app(app, ["index", str(folder), "--plan", str(plan), "--workers", "1"]) == 0
    made.joined(folder)
    assert run_app(app, ["approve", str(folder), str(approved), "--yes"]) == 0
    (folder / "records").mkdir(exist_ok=True)
    own(folder, 10002, 0o751)
    own(folder / "courier", 10001, 0o750)
    socket = scratch / "socket"  # the volume: its options are those of a tmpfs
    socket.mkdir()
    options = dict(
        o.split("=") for o in compose("compose.site.yaml")["volumes"]["socket"]["driver_opts"]["o"].split(",")
    )
    os.chown(socket, int(options["uid"]), int(options["gid"]))
    socket.chmod(int(options["mode"], 8))
    parts = [contained(name, scratch, folder, socket) for name in ("worker", "courier")]
    answers = scratch / "answers"
    with started(made, front, superlink, scratch) as coordinator:
        services = []
        for part in parts:
            with (part.root.with_suffix(".out")).open("wb") as out:
                words = ["ceus-site", *part.service["command"]]
                services.append(subprocess.Popen(part.command(words), stdout=out, stderr=out))
        with coordinator.control() as control:
            control.submit({"out": str(answers), "plan": "ab" * 32}, content)
        try:
            yield Running(parts[1], parts[0], answers, front)
        finally:
            answers.with_suffix(".stop").touch()
            for service in services:
                service.terminate()
            codes = [service.wait(60) for service in services]
            for part in parts:
                print(part.root.with_suffix(".out").read_text())
            assert codes == [0, 0]  # a container is stopped in good order


def test_the_coordinator_gets_the_sites_answer(running: Running) -> None:
    def updates() -> list[dict[str, str]]:
        lines = running.answers.read_text().splitlines() if running.answers.exists() else []
        return [answer for answer in map(json.loads, lines) if "update" in answer]

    wait(updates, 240, "the first answer")
    assert updates()[0]["update"] == "site-01"


def test_both_probes_say_that_it_can_answer(running: Running) -> None:
    for part in (running.worker, running.courier):
        said = part.run(*part.service["healthcheck"]["test"][1:])
        assert said.returncode == 0, said.stdout + said.stderr


def test_the_courier_sees_no_data_and_cannot_change_its_approvals(running: Running) -> None:
    assert running.courier.run("ls", HOME).stdout.split() == ["courier"]
    for words in (("touch", f"{HOME}/courier/approved.json"), ("touch", f"{HOME}/x"), ("touch", "/x")):
        said = running.courier.run(*words)
        assert said.returncode == 1
        assert "Read-only file system" in said.stderr
    assert running.courier.run("touch", f"{HOME}/courier/state/x").returncode == 0


def test_the_worker_has_no_network_and_neither_keys_nor_a_way_to_change_its_policy(running: Running) -> None:
    dial = DIAL.format(port=running.front)
    assert running.courier.run("python", "-c", dial).stdout == "connected\n"
    assert "OSError" in running.worker.run("python", "-c", dial).stderr
    assert running.worker.run("ls", f"{HOME}/courier").returncode == 2
    for file in ("policy.yaml", "lesions.csv", "secret.key"):
        assert "Read-only file system" in running.worker.run("touch", f"{HOME}/{file}").stderr
    assert running.worker.run("touch", f"{HOME}/records/.x", f"{HOME}/.ceus/.x").returncode == 0


def test_only_the_group_of_the_socket_reaches_the_worker(running: Running) -> None:
    assert running.courier.run("python", "-c", ASK, SOCKET).stdout == "connected\n"
    stranger = {**running.courier.service, "group_add": []}
    alone = Contained(stranger, running.courier.sources, running.courier.root)
    assert "PermissionError" in alone.run("python", "-c", ASK, SOCKET).stderr
