"""A study from the console alone: started, killed while its results are made, done without anybody who follows it."""

from __future__ import annotations

import io
import re
import signal
import time
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import psutil
import pyotp
import pytest

from benchmarks.faults import tiny_federation, tiny_plan
from ceus_models.pki.enrolment import utc_now
from server.console.sign_in.second_factor import make_secret, set_factor
from server.console.sign_in.users import add_person
from server.operations.liveness import coordinator_heartbeat
from server.run_folder.action_log import read_actions
from server.run_folder.paths import Home
from server.run_folder.studies import find_study
from tests.support.real_federation import BIN, NGINX, Federation, command, ports, wait

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(2400),
    pytest.mark.skipif(NGINX is None, reason="needs nginx (Debian: nginx-light)"),
]
PATIENCE_S = 900.0


@pytest.fixture(scope="module")
def federation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Federation]:
    scratch = tmp_path_factory.mktemp("actions")
    with tiny_federation(scratch, tiny_plan(scratch / "plan.yaml", 2), (1, 2)) as made:
        yield made


@pytest.fixture(scope="module")
def browser(federation: Federation) -> Iterator[httpx.Client]:
    """Signed in as a coordinator, by token and code."""
    home, secret, now = Home(federation.study), make_secret(), time.time()
    home.console_settings.write_text("schema: 1\nsecond_factor: [coordinator]\n")
    token = add_person(home, "ada", "coordinator", utc_now())
    set_factor(home, "ada", secret, pyotp.TOTP(secret).at(int(now - 60)), now - 60)
    (port,) = ports(1)
    words = [str(BIN / "ceus-coordinator"), "console", str(federation.study), "--port", str(port)]
    federation.start("console", words, "serving")
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60, trust_env=False) as made:
        given = {"name": "ada", "token": token}
        assert made.post("/sign-in", data=given).status_code == 401
        assert made.post("/sign-in", data={**given, "code": pyotp.TOTP(secret).now()}).status_code == 303
        yield made


def press(browser: httpx.Client, path: str, **fields: str) -> httpx.Response:
    found = re.search(r'name="form" value="([^"]+)"', browser.get("/actions").text)
    assert found is not None
    return browser.post(path, data={"form": found[1], **fields}, follow_redirects=True)


def kill_all(federation: Federation) -> None:
    for processes in federation.kinds(federation.study).values():
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGKILL)


def test_what_a_run_leaves_is_there_when_it_is_done_whatever_is_killed(
    federation: Federation, browser: httpx.Client, tmp_path: Path
) -> None:
    study = find_study(Home(federation.study))
    wait(lambda: browser.get("/status.json").json()["sites"][1]["connected"], PATIENCE_S, "site-02 is connected")
    assert "Stop after the round" in press(browser, "/run/start").text
    pulse, end = coordinator_heartbeat(study), time.monotonic() + PATIENCE_S
    while (beat := pulse.last()) is None or "making results" not in beat.doing:
        assert time.monotonic() < end
        time.sleep(0.01)
    kill_all(federation)  # `up`, SuperLink, SuperExec and the run
    assert federation.state()["phase"] == "running"
    assert not (study.run / "bundle").exists()
    wait(lambda: federation.fleet.poll_exit_code("up") is not None, 60, "the end of `up`")
    federation.up()
    assert federation.wait_over(PATIENCE_S) == "done"
    assert federation.state()["launches"] == 2
    assert federation.results()["finished"]
    model = browser.get("/download/model.zip").content
    with zipfile.ZipFile(io.BytesIO(model)) as archive:
        archive.extractall(tmp_path)
    assert "unaltered" in command("ceus-site", "bundle", tmp_path / "bundle")
    assert "no run is under way" in press(browser, "/run/stop").text
    assert "Go on with the run" not in browser.get("/").text


def test_a_site_that_is_revoked_by_a_button_is_shut_out_at_once(federation: Federation, browser: httpx.Client) -> None:
    assert "shut out site-02" in press(browser, "/sites/site-02/revoke", reason="lost a disk").text
    wait(lambda: not browser.get("/status.json").json()["sites"][1]["connected"], PATIENCE_S, "site-02 is shut out")
    found = [(line.who, line.action, line.about) for line in read_actions(Home(federation.study)) if not line.fault]
    assert [one for one in found if one[0] == "ada"] == [
        ("ada", "start", "tiny"),
        ("ada", "download", "tiny"),
        ("ada", "stop after the round", "tiny"),
        ("ada", "revoke", "site-02"),
    ]
    page = browser.get("/actions").text
    assert "lost a disk" in page
    assert "console, token" in page
