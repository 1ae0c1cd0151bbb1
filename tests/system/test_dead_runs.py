"""A run that is dead or hangs, in real processes: `status` says what hinders it, `up` mends it, the run ends."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from benchmarks.faults import SEED, killed, tiny_federation, tiny_plan
from ceus_models.pki.enrolment import utc_now
from ceus_models.plan.plan import load_plan
from server.federation.federation_file import load_federation
from server.federation.node_roster import open_control
from server.run_folder.paths import Home
from server.transport.fab import build_fab
from tests.support.made_sites import digests_in_memory, digests_of_run
from tests.support.real_federation import NGINX, Federation, command, here, wait
from tests.support.small_disk import fill, small_disk

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(2400),
    pytest.mark.skipif(NGINX is None, reason="needs nginx (Debian: nginx-light)"),
]
PATIENCE_S = 900.0  # of a busy machine; what it took is printed


@pytest.fixture(scope="module")
def federation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Federation]:
    scratch = tmp_path_factory.mktemp("dead")
    with tiny_federation(scratch, tiny_plan(scratch / "plan.yaml", 150), (1, 2)) as made:
        yield made


def said(federation: Federation) -> str:
    """What hinders the run, by the documented command."""
    trouble = json.loads(here("ceus-coordinator", "status", federation.study, "--json"))["run"]["trouble"]
    return str(trouble["said"]) if trouble else ""


def shown(federation: Federation, words: str, since: float) -> None:
    wait(lambda: words in said(federation), PATIENCE_S, f"status says: {words}")
    print(f"{words}: shown after {time.time() - since:.0f} s")


def gets_on(federation: Federation) -> None:
    before = len(federation.told())
    wait(lambda: len(federation.told()) > before, PATIENCE_S, "the run gets on")


def test_a_run_that_nobody_takes(federation: Federation) -> None:
    killed("SuperExec", stop=True)(federation)
    begun = time.time()
    federation.order()
    shown(federation, "the SuperExec has not taken it yet", begun)
    gets_on(federation)
    assert any(e["event"] == "restarted" and e["service"] == "superexec" for e in federation.events("up"))


def test_a_coordinator_that_hangs(federation: Federation) -> None:
    gets_on(federation)
    begun = time.time()
    hung = federation.kinds(federation.study)["ServerApp"]
    killed("ServerApp", stop=True)(federation)
    shown(federation, "no sign of life of the coordinator's process", begun)
    gets_on(federation)
    assert not any(process.is_running() and process.status() == psutil.STATUS_STOPPED for process in hung)


def test_a_superlink_that_hangs(federation: Federation) -> None:
    begun = time.time()
    killed("SuperLink", stop=True)(federation)
    shown(federation, "the SuperLink", begun)
    gets_on(federation)
    assert any(e["event"] == "restarted" and e["service"] == "superlink" for e in federation.events("up"))


def test_up_that_hangs_and_up_that_is_gone(federation: Federation) -> None:
    begun = time.time()
    killed("up", stop=True)(federation)
    shown(federation, "`ceus-coordinator up` gives no sign of life", begun)
    for process in federation.kinds(federation.study)["up"]:
        process.send_signal(signal.SIGCONT)
    gets_on(federation)
    begun = time.time()
    killed("up")(federation)
    shown(federation, "`ceus-coordinator up` has ended", begun)
    wait(lambda: set(federation.kinds(federation.study)) <= {"front door"}, 60, "all of it has ended")
    federation.up()
    gets_on(federation)


def test_a_superlink_whose_disk_is_full(federation: Federation) -> None:
    """`up` is down while its folder moves to a small disk, as after an unlucky reboot."""
    federation.stop("up")
    superlink = federation.study / "superlink"
    with small_disk(superlink, 300):
        federation.up()
        gets_on(federation)
        launches, begun = federation.state()["launches"], time.time()
        ballast = fill(superlink)
        killed("ServerApp")(federation)
        shown(federation, "the disk is full: 0 MB free for the SuperLink's database", begun)
        assert "the disk is full" in command("ceus-coordinator", "health", federation.study, code=1)
        assert "the disk is full" in command("ceus-coordinator", "preflight", federation.study, code=1)
        time.sleep(60)  # many ticks in which nothing can be written
        assert federation.state()["phase"] != "failed"
        ballast.unlink()
        gets_on(federation)
        assert federation.state()["launches"] <= launches + 2
        federation.stop("up")
    federation.up()
    gets_on(federation)


def test_one_that_cannot_even_be_imported_ends_with_its_cause(federation: Federation) -> None:
    home = Home(federation.study)
    with open_control(home, load_federation(home.federation), utc_now()) as control:
        begun, content = time.time(), build_fab("server.nothing:app")
        federation.call("ceus-coordinator", "stop", federation.study, "--now")
        run = control.submit({"plan": "x", "out": str(federation.study / "x"), "seed": 1, "sites": 1}, content)
        wait(lambda: control.state(run).finished, PATIENCE_S, "its end")
        print(f"dead at import: finished after {time.time() - begun:.0f} s: {control.state(run).details}")
        assert not control.state(run).completed
        unknown = control.state(12345)
        assert (unknown.finished, unknown.completed) == (True, False)
        assert "does not know the run" in unknown.details


def test_after_all_that_the_numbers_are_those_of_the_run_in_memory(federation: Federation, tmp_path: Path) -> None:
    federation.order()
    assert federation.wait_over(2 * PATIENCE_S) == "done", federation.state()
    plan = load_plan(federation.study / "plan.yaml")
    memory = digests_in_memory(plan, federation.sites, SEED, tmp_path / "memory")
    assert digests_of_run(plan, federation.of_study() / "run", SEED) == memory
