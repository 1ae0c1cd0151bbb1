"""`ceus-coordinator up --front-door`: what keeps nginx from being one of its services is said before anything runs."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from coordinator_commands import told
from made_federation import lab

from server.operations import daemon
from server.operations.services import front_door_service
from server.run_folder.paths import Home


@pytest.fixture
def home(tmp_path: Path) -> Home:
    with socket.socket() as one, socket.socket() as other:
        for held in (one, other):
            held.bind(("127.0.0.1", 0))
        front, superlink = one.getsockname()[1], other.getsockname()[1]
    text = f"schema: 1\nname: lab\naddress: localhost:{front}\nsites: [site-01]\nsuperlink_port: {superlink}\n"
    return lab(tmp_path / "co", text).home


def test_without_nginx(home: Home, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("server.cli.running.find_front_fault", lambda _: None)
    monkeypatch.setattr(daemon, "find_nginx", lambda: None)
    assert "apt-get install nginx-light" in told(capfd, "up", home.folder, "--front-door", code=1)


def test_where_the_port_is_taken(
    home: Home, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("server.cli.running.find_front_fault", lambda _: None)
    monkeypatch.setattr(daemon, "find_nginx", lambda: "/usr/sbin/nginx")
    port = int((home.folder / "federation.yaml").read_text().partition("localhost:")[2].split()[0])
    with socket.create_server(("127.0.0.1", port)):
        said = told(capfd, "up", home.folder, "--front-door", code=1)
    assert f"something listens on port {port}" in said
    assert "leave --front-door out" in said


def test_the_front_door_stays_with_its_parent(home: Home) -> None:
    assert front_door_service(home, "/usr/sbin/nginx").command[1:] == ["-c", str(home.nginx), "-g", "daemon off;"]
