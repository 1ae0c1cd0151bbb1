"""`ceus-coordinator` run · stop · status · health · report, where nothing runs, and beside a daemon."""

from __future__ import annotations

import csv
import json
import threading
import time
from pathlib import Path

import pytest
from coordinator_commands import told
from faulty_sites import PLAN, Post, link_of
from killed_coordinator import tiny
from made_federation import Lab, lab

from ceus_models.plan.terms.participation import RoundRecord
from ceus_models.runtime.errors import ExpectedError
from ceus_models.runtime.file_locks import hold_lock
from server.operations.health import health_of, main
from server.rounds.coordinator import run
from server.rounds.events import Event, Finished
from server.rounds.round_log import RoundLog
from server.rounds.saving.checkpoints import Store
from server.run_folder.journal import Journal
from server.run_folder.orders import State, read_order, write_state
from server.run_folder.paths import StudyFolder
from server.transport.message_log import MessageLog


@pytest.fixture
def made(tmp_path: Path) -> Lab:
    found = lab(tmp_path / "co")
    found.joined(tmp_path / "site")
    return found


def test_without_the_daemon_every_command_says_how_to_start_it(made: Lab, capfd: pytest.CaptureFixture[str]) -> None:
    for command in ("run", "stop", "health"):
        assert "start ceus-coordinator up" in told(capfd, command, made.home.folder, code=1).replace("`", "")
    assert "up: no" in told(capfd, "status", made.home.folder)
    assert "no round is finished yet" in told(capfd, "report", made.home.folder, code=1)


def test_status_is_written_as_a_page(made: Lab, capfd: pytest.CaptureFixture[str]) -> None:
    page = made.home.folder / "status.html"
    assert told(capfd, "status", made.home.folder, "--html", page).startswith("next: ")
    assert "up: no" in page.read_text()


def test_up_refuses_a_folder_that_init_did_not_finish(made: Lab, capfd: pytest.CaptureFixture[str]) -> None:
    made.home.superlink.unlink()
    assert "lacks tls/superlink.pem: run `ceus-coordinator init" in told(capfd, "up", made.home.folder, code=1)


def test_a_changed_plan_is_refused_before_anything_is_ordered(made: Lab, capfd: pytest.CaptureFixture[str]) -> None:
    (made.home.folder / "plan.yaml").write_text("name: other\nstages:\n  - {stage: hello}\n")
    assert "not the one in the bundle" in told(capfd, "run", made.home.folder, code=1)
    assert read_order(made.study) is None


def test_a_run_with_too_few_sites_is_not_ordered(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    bare = lab(tmp_path / "co")
    home = bare.home
    with hold_lock(home.up_lock, ExpectedError("taken")):
        said = told(capfd, "run", home.folder, code=1)
    assert "at least 1 sites in hello, found 0 enrolled" in said
    assert read_order(bare.study) is None


class Daemon(threading.Thread):
    """Takes the order, tells of one round, and ends it as it is told."""

    def __init__(self, study: StudyFolder, end: State) -> None:
        super().__init__(daemon=True)
        self.study, self.end = study, end

    def run(self) -> None:
        while (order := read_order(self.study)) is None:
            time.sleep(0.02)
        write_state(self.study, State(order=order.id, phase="running"))
        time.sleep(0.8)
        event: Event = Finished(RoundRecord("hello", "hello", 0, counted=("site-01",), seconds=1.0), 1, 1, ())
        Journal(self.study.run).append(event)
        RoundLog(self.study.run).append(event)
        write_state(self.study, self.end.model_copy(update={"order": order.id}))


def test_run_follows_to_the_cause_of_a_failure(made: Lab, capfd: pytest.CaptureFixture[str]) -> None:
    with hold_lock(made.home.up_lock, ExpectedError("taken")):
        Daemon(made.study, State(phase="failed", cause="site-01 must take part")).start()
        said = told(capfd, "run", made.home.folder, "--track", "tensorboard", code=1)
        assert "1 sites counted, 1.0 s; round 1 of 1, the last; 1 s in all" in said
        assert len(list((made.study.run / "tensorboard").glob("events.out.tfevents.*"))) == 1
        assert "the run failed: site-01 must take part" in said
        assert "no run is under way" in told(capfd, "stop", made.home.folder, code=1)


def test_a_daemon_that_dies_does_not_leave_the_follower_waiting(made: Lab, capfd: pytest.CaptureFixture[str]) -> None:
    with hold_lock(made.home.up_lock, ExpectedError("taken")):
        Daemon(made.study, State(phase="running")).start()
        assert "--track follows" in told(capfd, "run", made.home.folder, "--detach", "--track", "mlflow", code=1)
        assert told(capfd, "run", made.home.folder, "--detach").startswith("next: ")
    assert "nothing runs for" in told(capfd, "stop", made.home.folder, code=1)
    assert "nothing runs for" in told(capfd, "run", made.home.folder, code=1)


def test_the_report_is_made_from_the_newest_round_of_a_study(
    made: Lab, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("ceus_models.plan.rounds.training.build_initial_state", tiny)
    monkeypatch.setattr("server.cli.report.load_plan", lambda path: PLAN)
    run(PLAN, link_of(Post(), MessageLog(made.study.run)), Store(made.study.run), 1)
    assert "report:" in told(capfd, "report", made.home.folder)
    results = json.loads((made.study.run / "results.json").read_text())
    assert results["finished"]
    assert results["look_at"] == {}
    assert set(results["digests"]) == {"disease/HCC"}
    page = (made.study.run / "report.html").read_text()
    assert "<svg" in page
    made_anew = tmp_path / "anew"
    made_anew.mkdir()
    assert "report:" in told(capfd, "report", made.study.run / "results.json", "--out", made_anew / "page.html")
    assert (made_anew / "page.html").read_text() == page
    counted = {
        f"{cohort} / {variable} / {value}": n
        for cohort, variables in results["table1"].items()
        for variable, values in variables.items()
        for value, n in values.items()
    }
    assert counted
    for folder in (made.study.run, made_anew):
        assert {path.name for path in (folder / "tables").iterdir()} == {"cohorts.csv", "flow.csv", "missing.csv"}
        assert (folder / "checklists" / "tripod-ai.md").is_file()
        with (folder / "tables" / "cohorts.csv").open(encoding="utf-8", newline="") as file:
            assert {row["of"]: float(row["value"]) for row in csv.DictReader(file)} == counted


def test_the_probe_tells_a_dead_daemon_and_a_silent_superlink(
    made: Lab, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["server.operations.health", str(made.home.folder)])
    with pytest.raises(SystemExit) as dead:
        main()
    assert dead.value.code == 1
    assert "nothing runs for" in capfd.readouterr().out
    with hold_lock(made.home.up_lock, ExpectedError("taken")):
        with pytest.raises(SystemExit):
            main()
        assert "the SuperLink does not answer" in capfd.readouterr().out
        monkeypatch.setattr("server.operations.health.is_superlink_healthy", lambda home, federation: True)
        assert health_of(made.home, lambda: None).found == "up; tiny: none"  # type: ignore[arg-type, return-value]
