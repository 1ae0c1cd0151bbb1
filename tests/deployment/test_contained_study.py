"""The coordinator of the compose file, its containers made by the kernel's own means: from `init` to an enrolled site.

The very commands, users and mounts of `compose.coordinator.yaml`. Half a minute.
"""

from __future__ import annotations

import http.client
import os
import ssl
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from contained import Contained, can_contain
from deployment_files import compose, words
from real_coordinator import NGINX, ports, wait

from ceus_models.pki.enrolment import read_versions, utc_now
from ceus_models.protocol.messages import PROTOCOL
from client.courier.folder import courier_of
from client.courier.keys import request_enrolment
from client.courier.kit import install_kit

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.skipif(NGINX is None, reason="needs nginx (Debian: nginx-light)"),
    pytest.mark.skipif(not can_contain(), reason="needs root and namespaces of its own"),
]
FEDERATION = "schema: 1\nname: lab\naddress: localhost:{port}\nsites: [site-01]\nsuperlink_port: {superlink}\n"
PLAN = "name: tiny\nquorum: {share: 1.0, sites: 1}\nstages:\n  - {stage: hello}\n"
RELOAD = ("nginx", "-e", "stderr", "-c", "/study/front/nginx.conf", "-s", "reload")


@dataclass(frozen=True)
class Running:
    coordinator: Contained
    front: Contained
    office: Contained
    study: Path
    scratch: Path
    identity: str
    port: int


def give(study: Path) -> None:
    for one in (study, *study.rglob("*")):
        os.chown(one, 10003, 10003, follow_symlinks=False)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    scratch = tmp_path_factory.mktemp("contained")
    port, superlink = ports(2)
    study = scratch / "study"
    study.mkdir(mode=0o700)
    (study / "federation.yaml").write_text(FEDERATION.format(port=port, superlink=superlink))
    (study / "plan.yaml").write_text(PLAN)
    give(study)
    services = compose("compose.coordinator.yaml", CEUS_PORT=str(port))["services"]
    sources = {"/srv/study" + part: Path(f"{study}{part}") for part in ("", "/ca/ca.pem", "/front", "/tls")}
    parts = {}
    for name, service in services.items():
        (scratch / name).mkdir()
        parts[name] = Contained(service, sources, scratch / name)
    made = parts["office"].run("ceus-coordinator", "init", "/study")
    assert made.returncode == 0, made.stdout + made.stderr
    identity = made.stdout.split("federation: ")[1].split()[0]
    lives = []
    for name, start in (
        ("coordinator", ["ceus-coordinator", *words(services["coordinator"]["command"])]),
        ("front", words(services["front"]["entrypoint"])),
    ):
        with (scratch / f"{name}.out").open("wb") as out:
            lives.append(subprocess.Popen(parts[name].command(start), stdout=out, stderr=out))
    try:
        yield Running(parts["coordinator"], parts["front"], parts["office"], study, scratch, identity, port)
    finally:
        for life in lives:
            life.terminate()
        codes = [life.wait(60) for life in lives]
        for name in ("coordinator", "front"):
            print((scratch / f"{name}.out").read_text())
        assert codes == [0, 0]


def test_both_probes_say_that_it_can_answer(running: Running) -> None:
    for part in (running.coordinator, running.front):
        probe = part.service["healthcheck"]["test"][1:]
        wait(lambda part=part, probe=probe: part.run(*probe).returncode == 0, 120, "a good probe")


def test_a_site_is_enrolled_while_it_runs(running: Running) -> None:
    courier = courier_of(running.scratch / "site-01")
    request_enrolment(courier, "site-01", running.identity, False, read_versions(PROTOCOL), utc_now())
    (running.study / "site-01.request.json").write_bytes(courier.request.read_bytes())
    give(running.study)
    said = running.office.run("ceus-coordinator", "enrol", "/study", "/study/site-01.request.json", "--yes")
    assert said.returncode == 0, said.stdout + said.stderr
    assert "is not running" not in said.stdout  # it was told to the SuperLink at once
    kit = running.study / "kits" / "site-01.kit.json"
    assert install_kit(courier, kit, read_versions(PROTOCOL), utc_now()).site == "site-01"


def test_the_front_door_is_open_for_nodes_alone(running: Running) -> None:
    context = ssl.create_default_context(cafile=str(running.study / "ca" / "ca.pem"))
    for path, status in (("/v1/control/list-runs", 404), ("/docs", 404), ("/v1/fleet/register-node", 404)):
        connection = http.client.HTTPSConnection("localhost", running.port, context=context, timeout=10)
        connection.request("POST", path)
        assert connection.getresponse().status == status
        connection.close()


def test_what_runs_for_weeks_does_not_see_the_key_of_the_ca(running: Running) -> None:
    assert (running.study / "ca" / "ca.key").exists()
    for part in (running.coordinator, running.front):
        assert part.run("ls", "/study/ca").stdout.split() == ["ca.pem"]
    assert running.front.run("ls", "/study").stdout.split() == ["ca", "front", "tls"]


def test_the_root_file_system_is_read_only(running: Running) -> None:
    for part in (running.coordinator, running.front, running.office):
        assert "Read-only file system" in part.run("touch", "/x").stderr


def test_the_configuration_that_is_reloaded_is_the_one_that_runs(running: Running) -> None:
    """The pid of nginx is in a tmpfs of its container, so another container of the same service is of no help."""
    assert running.front.service["entrypoint"][:5] == list(RELOAD[:5])
    assert (running.study / "front" / "nginx.conf").read_text().count("/study/front/run") >= 6
