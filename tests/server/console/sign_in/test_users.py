"""Who may sign in: only hashes are kept, tokens are told once, and one command at a time changes the file."""

from __future__ import annotations

import json
import re
import ssl
import threading
import time
from pathlib import Path

import httpx
import pytest
import uvicorn
from coordinator_commands import told
from made_federation import NOW, Lab, lab

import server.cli.main
from ceus_models.runtime.errors import ExpectedError
from ceus_models.runtime.exit_codes import run_app
from server.console.sign_in.users import add_person, authenticate, read_people


@pytest.fixture
def made(tmp_path: Path) -> Lab:
    return lab(tmp_path / "co")


def test_a_token_is_told_once_and_only_its_salted_hash_is_kept(made: Lab) -> None:
    token, other = (add_person(made.home, name, "researcher", NOW) for name in ("ada", "bob"))
    text = made.home.people.read_text()
    assert token not in text
    assert made.home.people.stat().st_mode & 0o777 == 0o600
    assert len({person["salt"] for person in json.loads(text)["people"]}) == 2
    assert len(token) >= 32
    found = authenticate(made.home, "ada", token)
    assert found is not None
    assert (found.name, found.role) == ("ada", "researcher")
    for name, wrong in (("ada", other), ("bob", token), ("ada", ""), ("", token), ("eve", "x"), ("ada", token + "x")):
        assert authenticate(made.home, name, wrong) is None


def test_the_commands_add_list_and_remove(made: Lab, capfd: pytest.CaptureFixture[str]) -> None:
    folder = made.home.folder
    said = told(capfd, "people", folder, "add", "ada", "--role", "monitor")
    token = said.rpartition(": ")[2]
    assert authenticate(made.home, "ada", token) is not None
    assert "ada is there already" in told(capfd, "people", folder, "add", "ada", "--role", "coordinator", code=1)
    assert "letters, digits and hyphens" in told(capfd, "people", folder, "add", "a:b", "--role", "monitor", code=1)
    listed = told(capfd, "people", folder, "list")
    assert "ada" in listed
    assert "monitor" in listed
    assert token not in listed
    told(capfd, "people", folder, "remove", "ada")
    assert read_people(made.home) == ()
    assert "there is no ada" in told(capfd, "people", folder, "remove", "ada", code=1)
    assert told(capfd, "people", folder, "add", "ada", "--role", "owner", code=2)


def test_a_file_that_is_damaged_or_open_lets_nobody_in(made: Lab) -> None:
    token = add_person(made.home, "ada", "monitor", NOW)
    made.home.people.chmod(0o640)
    with pytest.raises(ExpectedError, match="others may read"):
        authenticate(made.home, "ada", token)
    made.home.people.chmod(0o600)
    made.home.people.write_text("{}x")
    with pytest.raises(ExpectedError, match="cannot be read"):
        authenticate(made.home, "ada", token)


def test_the_console_starts_for_somebody_and_never_in_the_clear(made: Lab, capfd: pytest.CaptureFixture[str]) -> None:
    folder = made.home.folder
    assert "people" in told(capfd, "console", folder, code=1)
    add_person(made.home, "ada", "monitor", NOW)
    assert "in the clear" in told(capfd, "console", folder, "--host", "0.0.0.0", code=1)
    assert "go together" in told(capfd, "console", folder, "--key", made.home.front_key, code=1)
    given = ("--certificate", made.home.superexec_secret, "--key", made.home.front_key)
    assert "cannot be used" in told(capfd, "console", folder, "--port", 0, *given, code=1)


def test_it_serves_over_tls_with_a_certificate(made: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """The real server, in a thread, on a real port; its own log line says where."""
    said: list[dict[str, str]] = []
    monkeypatch.setattr("server.cli.console.log_event", lambda event: said.append(dict(event)))
    servers: list[uvicorn.Server] = []
    run = uvicorn.Server.run
    monkeypatch.setattr("uvicorn.Server.run", lambda self, sockets: (servers.append(self), run(self, sockets)))
    token = add_person(made.home, "ada", "monitor", NOW)
    given = ["--port", "0", "--certificate", str(made.home.front), "--key", str(made.home.front_key)]
    thread = threading.Thread(target=run_app, args=(server.cli.main.app, ["console", str(made.home.folder), *given]))
    thread.start()
    try:
        while not (servers and servers[0].started):
            assert thread.is_alive()
            time.sleep(0.02)
        url = said[0]["url"]
        assert re.fullmatch(r"https://127\.0\.0\.1:\d+/", url)
        trusted = ssl.create_default_context(cafile=str(made.home.ca))
        answer = httpx.get(url + "metrics", auth=("ada", token), verify=trusted, trust_env=False)
        assert answer.status_code == 200
        assert "server" not in answer.headers
    finally:
        servers[0].should_exit = True
        thread.join(30)
    assert not thread.is_alive()
