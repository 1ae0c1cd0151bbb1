"""Both consoles beside a real federation: who is connected, and a site that its IT pauses and resumes with a button."""

from __future__ import annotations

import re
from collections.abc import Iterator

import httpx
import pytest
import yaml

from benchmarks.faults import tiny_federation, tiny_plan
from ceus_models.pki.enrolment import utc_now
from client.worker.audit.log import entries
from server.console.sign_in.users import add_person
from server.run_folder.paths import Home
from tests.support.open_policy import open_text
from tests.support.real_federation import BIN, ENVIRONMENT, NGINX, Federation, ports, wait

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(2400),
    pytest.mark.skipif(NGINX is None, reason="needs nginx (Debian: nginx-light)"),
]
PATIENCE_S = 900.0
ROUNDS = 30


@pytest.fixture(scope="module")
def federation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Federation]:
    scratch = tmp_path_factory.mktemp("consoles")
    plan = tiny_plan(scratch / "plan.yaml", ROUNDS)
    plan.write_text(yaml.safe_dump({**yaml.safe_load(plan.read_text()), "quorum": {"share": 0.3, "sites": 1}}))
    with tiny_federation(scratch, plan, (1, 2)) as made:
        for folder in made.sites.values():
            (folder / "policy.yaml").write_text(open_text(studies="approved"))
        yield made


@pytest.fixture(scope="module")
def coordinator(federation: Federation) -> Iterator[httpx.Client]:
    """Signed in as a coordinator."""
    token = add_person(Home(federation.study), "ada", "coordinator", utc_now())
    (port,) = ports(1)
    words = [str(BIN / "ceus-coordinator"), "console", str(federation.study), "--port", str(port)]
    federation.start("console", words, "serving")
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60, trust_env=False) as made:
        assert made.post("/sign-in", data={"name": "ada", "token": token}).status_code == 303
        yield made


@pytest.fixture(scope="module")
def site(federation: Federation) -> Iterator[httpx.Client]:
    """The browser of site-01's IT, signed in by the URL that the command printed."""
    (port,) = ports(1)
    words = [str(BIN / "ceus-site"), "console", str(federation.sites["site-01"]), "--port", str(port)]
    federation.fleet.start("site-console", words, {**ENVIRONMENT, "PYTHONUNBUFFERED": "1"})
    log = federation.fleet.log_path("site-console")
    wait(lambda: log.exists() and "?token=" in log.read_text(), 180, "the site's console")
    url = re.search(r"open (\S+)", log.read_text())
    assert url is not None
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60, trust_env=False, follow_redirects=True) as made:
        assert made.get(url[1]).status_code == 200
        yield made


def form_of(page: str) -> dict[str, str]:
    found = re.search(r'name="form" value="([^"]+)"', page)
    assert found is not None
    return {"form": found[1]}


def test_a_run_is_followed_and_a_site_is_paused_and_resumed(
    federation: Federation, coordinator: httpx.Client, site: httpx.Client
) -> None:
    assert coordinator.get("/healthz").status_code == 200
    wait(lambda: coordinator.get("/status.json").json()["sites"][0]["connected"], PATIENCE_S, "site-01 is connected")
    assert 'ceus_site_connected{site="site-02"} 1' in coordinator.get("/metrics").text
    page = site.get("/").text
    assert "worker</dt><dd>yes" in page
    assert "courier</dt><dd>yes" in page
    assert "those approved here: tiny" in page
    assert "one: training, 30 rounds" in site.get("/approval").text
    federation.order()
    wait(lambda: "Losses" in coordinator.get("/").text, PATIENCE_S, "a round of training")
    assert site.post("/pause", data=form_of(site.get("/").text)).status_code == 200
    wait(lambda: "paused since" in coordinator.get("/sites").text, PATIENCE_S, "the coordinator is told of the pause")
    assert "paused since" in site.get("/").text
    assert site.post("/resume", data=form_of(site.get("/").text)).status_code == 200
    counted = coordinator.get("/status.json").json()["sites"][0]["rounds"]["counted"]
    wait(
        lambda: coordinator.get("/status.json").json()["sites"][0]["rounds"]["counted"] > counted,
        PATIENCE_S,
        "site-01 counts again",
    )
    assert "fedceus report: tiny" in coordinator.get("/report").text
    assert federation.wait_over(PATIENCE_S) == "done"
    left = site.get("/left").text
    assert "Unchanged." in left
    assert "refusals" in left
    kinds = [entry["kind"] for entry in entries(federation.sites["site-01"] / "records")]
    assert kinds.count("pause") == kinds.count("resume") == 1
    letters = coordinator.get("/record").text
    answer = next(e for e in reversed(list(entries(federation.sites["site-01"] / "records"))) if e["kind"] == "answer")
    assert answer["digest"][:12] in letters, "both records name one letter alike"
