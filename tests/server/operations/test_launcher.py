"""The daemon's half of a run: every run ends in a state that says why, and one that dies is started again."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import pytest
from made_federation import NOW, PLAN, Lab, lab

from ceus_models.plan.plan import load_plan
from ceus_models.plan.progress import Progress
from ceus_models.runtime.errors import ExpectedError
from server.federation.federation_file import load_federation
from server.federation.founding import set_up_federation
from server.federation.studies import add_study
from server.operations.daemon import _Loop
from server.operations.launcher import Launcher, Timing, check_bundle
from server.operations.liveness import Observations, find_trouble
from server.rounds.saving.checkpoints import Store
from server.run_folder.journal import Journal
from server.run_folder.orders import order_run, order_stop, read_state
from server.run_folder.paths import StudyFolder
from server.transport.superlink_control import Control, RunState

QUICK = Timing(dead_s=0.0, pending_s=60.0, deaths=3)


@dataclass
class FakeControl:
    """Runs by number: RunState's `finished` and `completed`."""

    runs: dict[int, RunState] = field(default_factory=dict)
    submitted: list[dict[str, Any]] = field(default_factory=list)
    stopped: list[int] = field(default_factory=list)

    def submit(self, config: dict[str, Any], fab: bytes) -> int:
        self.submitted.append({**config, "fab": fab})
        number = len(self.submitted)
        self.runs[number] = RunState(True, False, False, "")
        return number

    def state(self, run: int) -> RunState:
        return self.runs[run]

    def stop(self, run: int) -> None:
        self.stopped.append(run)
        self.runs[run] = RunState(True, True, False, "stopped")

    def list_unfinished(self) -> dict[int, str]:
        outs = [settings["out"] for settings in self.submitted]
        return {run: outs[run - 1] for run, state in self.runs.items() if not state.finished}

    def end(self, completed: bool = False, details: str = "") -> None:
        self.runs[len(self.submitted)] = RunState(True, True, completed, details)


@dataclass
class Desk:
    lab: Lab
    control: FakeControl
    told: list[Any]
    unwedged: list[bool]
    launcher: Launcher
    study: StudyFolder

    def step(self) -> str:
        self.launcher.step(self.control)  # type: ignore[arg-type]
        return read_state(self.study).phase

    @property
    def journal(self) -> Journal:
        return Journal(self.study.run)

    @contextmanager
    def coordinator(self) -> Iterator[None]:
        """A ServerApp that is at work; it leaves without a word at the end."""
        with self.journal.hold():
            assert self.step() == "running"
            yield


def desk_of(made: Lab, timing: Timing = QUICK) -> Desk:
    told: list[Any] = []
    unwedged: list[bool] = []
    launcher = Launcher(made.study, told.append, lambda: unwedged.append(True), timing)
    return Desk(made, FakeControl(), told, unwedged, launcher, made.study)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    made = lab(tmp_path / "co")
    made.joined(tmp_path / "s")
    return desk_of(made)


def test_nothing_is_done_without_an_order(desk: Desk) -> None:
    assert desk.step() == "none"
    assert desk.control.submitted == []


def test_an_ordered_run_is_submitted_with_the_approved_bytes_and_followed_to_its_end(desk: Desk) -> None:
    order = order_run(desk.study)
    assert [desk.step(), desk.step()] == ["starting", "starting"]
    (submitted,) = desk.control.submitted
    assert submitted["fab"] == desk.study.bundle.read_bytes()
    assert (submitted["sites"], submitted["seed"], submitted["out"]) == (1, 1, str(desk.study.run))
    with desk.coordinator():
        assert order_run(desk.study) == order, "who asks again only looks on"
    desk.control.end(completed=True)
    assert [desk.step(), desk.step()] == ["done", "done"]
    assert len(desk.control.submitted) == 1
    assert order_run(desk.study) != order
    assert [e["phase"] for e in desk.told] == ["waiting", "starting", "running", "done"]


def test_a_coordinator_that_was_killed_is_started_again_at_once(desk: Desk) -> None:
    order_run(desk.study)
    desk.step()
    with desk.coordinator():
        pass
    assert desk.step() == "waiting"
    assert "was killed, or ran out of memory" in read_state(desk.study).cause
    assert desk.control.stopped == [1], "Flower would take a minute to notice"
    assert desk.step() == "starting"
    assert read_state(desk.study).launches == 2


def test_one_that_dies_in_the_same_round_again_and_again_is_given_up(desk: Desk) -> None:
    order_run(desk.study)
    phases = []
    for _ in range(3):
        desk.step()
        with desk.coordinator():
            pass
        phases.append(desk.step())
    assert phases == ["waiting", "waiting", "failed"]
    assert "ended 3 times in the same round" in read_state(desk.study).cause


def test_a_superlink_that_fails_on_every_call_makes_no_more_deaths_of_one(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: int) -> None:
        raise ExpectedError("the SuperLink failed on a request (HTTPStatusError)")

    order_run(desk.study)
    desk.step()
    with desk.coordinator():
        pass
    with monkeypatch.context() as patch:
        patch.setattr(desk.control, "stop", fail)
        for _ in range(43):
            with pytest.raises(ExpectedError, match="failed on a request"):
                desk.step()
    assert desk.step() == "waiting", "one death, whatever came after it"
    assert desk.step() == "starting"


def test_a_state_that_cannot_be_written_makes_no_more_deaths_of_one(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    order_run(desk.study)
    desk.step()
    with desk.coordinator():
        pass
    with monkeypatch.context() as patch:
        patch.setattr("server.operations.launcher.write_state", full)
        for _ in range(43):
            with pytest.raises(OSError, match="No space left"):
                desk.step()
    assert desk.step() == "waiting"


def test_a_run_whose_disk_was_full_goes_on_when_there_is_more_room(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    room = [10 << 20]
    monkeypatch.setattr("server.operations.launcher.free_bytes", lambda _: room[0])
    order_run(desk.study)
    for _ in range(4):  # more often than a run may die in one round
        assert desk.step() == "starting"
        with desk.coordinator():
            desk.journal.write_failure("the checkpoint cannot be written (No space left on device)", room=True)
        desk.control.end()
        assert desk.step() == "waiting"
        launches = len(desk.control.submitted)
        assert "goes on by itself when there is more room" in read_state(desk.study).cause
        assert [desk.step() for _ in range(5)] == ["waiting"] * 5
        assert len(desk.control.submitted) == launches
        room[0] += 65 << 20


def test_one_that_gets_on_between_its_deaths_is_not_given_up(desk: Desk) -> None:
    order_run(desk.study)
    for _ in range(5):
        desk.step()
        with desk.coordinator():
            Store(desk.study.run).save(Progress(), "plan", 1)
        assert desk.step() == "waiting"


def test_what_the_coordinator_says_is_the_cause_and_final(desk: Desk) -> None:
    order_run(desk.study)
    desk.step()
    with desk.coordinator():
        desk.journal.write_failure("site-01 must take part")
    desk.control.end(details="exception in the ServerApp")
    assert desk.step() == "failed"
    assert read_state(desk.study).cause == "site-01 must take part"
    order_run(desk.study)
    assert [desk.step(), desk.journal.read_failure()] == ["starting", None]


def test_a_superlink_that_was_lost_is_no_reason_to_give_up(desk: Desk) -> None:
    order_run(desk.study)
    desk.step()
    with desk.coordinator():
        desk.journal.write_failure("the SuperLink failed 8 times in a row", passing=True)
    desk.control.end()
    assert [desk.step(), desk.step()] == ["waiting", "starting"]


def test_a_run_that_nobody_takes_is_taken_back_and_the_superexec_started_again(desk: Desk) -> None:
    desk = desk_of(desk.lab, Timing(pending_s=0.0, deaths=3))
    order_run(desk.study)
    assert desk.step() == "starting"
    desk.control.runs[1] = RunState(False, False, False, "")
    assert desk.step() == "waiting"
    assert desk.unwedged == [True]
    assert desk.control.stopped == [1]


def test_a_run_that_is_slow_to_start_is_left_alone(desk: Desk) -> None:
    """Taken by the SuperExec, and still loading: on a busy machine minutes, and starting it anew would never end."""
    desk = desk_of(desk.lab, Timing(pending_s=0.0, deaths=3))
    order_run(desk.study)
    assert [desk.step(), desk.step(), desk.step()] == ["starting"] * 3
    assert desk.unwedged == []
    with desk.coordinator():
        assert desk.step() == "running"


def test_a_run_that_does_not_begin_says_what_it_waits_for(desk: Desk) -> None:
    desk = desk_of(desk.lab, Timing(slow_s=0.0, deaths=3))
    order_run(desk.study)
    desk.step()
    desk.control.runs[1] = RunState(False, False, False, "")
    assert desk.step() == "starting"
    assert "the SuperExec has not taken it yet" in read_state(desk.study).cause
    desk.control.runs[1] = RunState(True, False, False, "")
    assert desk.step() == "starting"
    assert "its process was started and is not at work yet" in read_state(desk.study).cause
    with desk.coordinator():
        assert read_state(desk.study).cause == ""


def test_a_run_that_nobody_ever_takes_comes_to_an_end(desk: Desk) -> None:
    desk = desk_of(desk.lab, Timing(pending_s=0.0, deaths=3))
    order_run(desk.study)
    for number in (1, 2, 3):
        assert desk.step() == "starting"
        desk.control.runs[number] = RunState(False, False, False, "")
        desk.step()
    assert read_state(desk.study).phase == "failed"
    assert "it was not at work within 0 s" in read_state(desk.study).cause


HANGS = """
import sys, time
from pathlib import Path
from ceus_models.runtime.errors import ExpectedError
from ceus_models.runtime.file_locks import hold_lock
from ceus_models.runtime.liveness.heartbeat import Heartbeat
from server.run_folder.journal import COORDINATOR
folder = Path(sys.argv[1])
with hold_lock(folder / ".coordinator.lock", ExpectedError("taken")):  # as Journal.held, without what it imports
    Heartbeat(folder / COORDINATOR).beat("saving round 3 of submodels")
    print("here", flush=True)
    time.sleep(600)
"""


def test_a_coordinator_that_hangs_is_given_up_and_ended_before_another_is_started(desk: Desk) -> None:
    desk = desk_of(desk.lab, Timing(hung_s=0.5, leaving_s=0.0, deaths=3))
    order_run(desk.study)
    desk.step()
    child = subprocess.Popen([sys.executable, "-c", HANGS, str(desk.study.run)], stdout=subprocess.PIPE)
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == b"here\n"
        assert desk.step() == "running"
        time.sleep(1.0)
        assert desk.step() == "waiting"
        assert "gave no sign of life" in read_state(desk.study).cause
        assert desk.control.stopped == [1]
        assert desk.step() == "waiting"
        assert child.wait(30) == -signal.SIGKILL
        assert [e["event"] for e in desk.told][-1] == "killed"
        assert desk.step() == "starting"
    finally:
        child.kill()
        child.communicate()


def test_a_state_that_could_not_be_written_is_written_when_there_is_room(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    order_run(desk.study)
    with monkeypatch.context() as patch:
        patch.setattr("server.operations.launcher.write_state", full)
        with pytest.raises(OSError, match="No space left"):
            desk.step()
    assert desk.step() == "starting"
    assert read_state(desk.study).phase == "starting"


def test_a_stop_waits_for_the_round_and_a_halt_does_not(desk: Desk) -> None:
    home = desk.study
    with pytest.raises(ExpectedError, match="no run is under way"):
        order_stop(home, at_once=False)
    order_run(home)
    desk.step()
    with desk.coordinator():
        order_stop(home, at_once=False)
        assert [desk.step(), desk.journal.is_stop_requested()] == ["stopping", True]
        desk.journal.write_failure("stopped before fusion, as asked")
    desk.control.end()
    assert desk.step() == "stopped"
    order_run(home)
    desk.step()
    assert not desk.journal.is_stop_requested(), "the next run is not stopped by the last one's order"
    with desk.coordinator():
        order_stop(home, at_once=True)
        assert desk.step() == "stopped"
    assert desk.control.stopped == [2]


def test_a_new_daemon_takes_over_the_run_of_one_that_was_killed(desk: Desk) -> None:
    order_run(desk.study)
    desk.step()
    with ExitStack() as alive:
        alive.enter_context(desk.coordinator())
    after = desk_of(desk.lab)
    after.control.submitted, after.control.runs = desk.control.submitted, desk.control.runs
    assert after.step() == "waiting"
    assert after.step() == "starting"
    assert len(after.control.submitted) == 2


def test_a_coordinator_that_lives_on_is_waited_for_and_not_joined_by_a_second(desk: Desk) -> None:
    order_run(desk.study)
    with desk.journal.hold():
        assert desk.step() == "waiting"
        assert "has not ended yet" in read_state(desk.study).cause
        assert desk.control.submitted == []
    assert desk.step() == "starting"


def test_a_plan_that_is_not_in_the_bundle_is_not_run(desk: Desk) -> None:
    plan = load_plan(desk.lab.home.folder / "plan.yaml")
    check_bundle(desk.study, plan)
    with pytest.raises(ExpectedError, match="not the one in the bundle"):
        check_bundle(desk.study, replace(plan, name="other"))


@pytest.fixture
def second(desk: Desk, tmp_path: Path) -> Desk:
    """Another study of the same federation, under the same SuperLink."""
    plan = tmp_path / "second.yaml"
    plan.write_text(PLAN.replace("tiny", "second"))
    study, _ = add_study(desk.lab.home, plan, None, 5, NOW)
    set_up_federation(desk.lab.home.folder, None, NOW)
    launcher = Launcher(study, desk.told.append, lambda: None, QUICK)
    return Desk(desk.lab, desk.control, desk.told, [], launcher, study)


def test_two_studies_run_side_by_side_each_with_its_own_bundle_and_seed(desk: Desk, second: Desk) -> None:
    order_run(desk.study)
    order_run(second.study)
    assert [desk.step(), second.step()] == ["starting", "starting"]
    one, other = desk.control.submitted
    assert (one["seed"], other["seed"]) == (1, 5)
    assert (one["fab"], other["fab"]) == (desk.study.bundle.read_bytes(), second.study.bundle.read_bytes())
    assert (other["out"], other["plan"]) == (str(second.study.run), str(second.study.plan))
    with desk.coordinator(), second.coordinator():
        assert [desk.step(), second.step()] == ["running", "running"]
    assert {e["study"] for e in desk.told} == {"tiny", "second"}


def test_a_study_stops_what_was_left_of_it_and_nothing_of_the_other(desk: Desk, second: Desk) -> None:
    order_run(desk.study)
    desk.step()
    order_run(second.study)
    second.step()
    second.study.state.unlink()  # as after a kill between the submission and its state
    again = Desk(second.lab, second.control, [], [], Launcher(second.study, print, lambda: None, QUICK), second.study)
    assert again.step() == "starting"
    assert desk.control.stopped == [2], "the run of the other study goes on"
    with desk.coordinator():
        pass
    assert desk.step() == "waiting"
    assert desk.control.stopped == [2, 1]
    assert again.step() == "starting"


def test_a_study_waits_for_the_one_that_it_is_ordered_after(desk: Desk, second: Desk) -> None:
    order_run(desk.study)
    order_run(second.study, after="tiny")
    assert [second.step(), desk.step(), second.step()] == ["waiting", "starting", "waiting"]
    state = read_state(second.study)
    assert state.cause == "after tiny, which is starting"
    seen = Observations(True, None, state.moment)
    later = replace(seen, moment=replace(state.moment, at=state.at + 3600, running=state.running + 3600))
    assert find_trouble(second.study, state, later) is None, "it waits as it was told to"
    with desk.coordinator():
        desk.journal.write_failure("site-01 must take part")
    desk.control.end()
    assert [desk.step(), second.step()] == ["failed", "starting"]


def test_a_study_that_waits_can_be_stopped(desk: Desk, second: Desk) -> None:
    order_run(desk.study)
    order_run(second.study, after="tiny")
    assert second.step() == "waiting"
    order_stop(second.study, at_once=False)
    assert second.step() == "stopped"
    assert not desk.control.submitted


def test_a_run_takes_the_federations_roster_with_it(desk: Desk) -> None:
    desk.lab.home.roster.write_text("the roster")
    order_run(desk.study)
    desk.step()
    assert (desk.study.run / "roster.json").read_text() == "the roster"


def test_up_looks_after_every_study_and_a_broken_one_hinders_no_other(desk: Desk, second: Desk) -> None:
    loop = _Loop(desk.lab.home, load_federation(desk.lab.home.federation), None, desk.told.append)  # type: ignore[arg-type]
    control = cast(Control, desk.control)
    loop._step_launchers(control)
    fresh = _Loop(desk.lab.home, load_federation(desk.lab.home.federation), None, desk.told.append)  # type: ignore[arg-type]
    order_run(desk.study)
    order_run(second.study)
    desk.study.order.write_text("{")
    with pytest.raises(ExpectedError, match="is damaged"):
        loop._step_launchers(control)
    assert read_state(second.study).phase == "starting"
    second.study.state.unlink()
    desk.study.state.write_text("{")
    with pytest.raises(ExpectedError, match="is damaged"):
        fresh._step_launchers(control)
    assert read_state(second.study).phase == "starting"
    desk.study.state.unlink()
    shutil.rmtree(second.study.folder)
    desk.study.order.unlink()
    loop._step_launchers(control)
    assert not second.study.folder.exists(), "a study that is gone is left alone"


def test_up_ends_runs_that_are_of_no_study(desk: Desk) -> None:
    loop = _Loop(desk.lab.home, load_federation(desk.lab.home.federation), None, desk.told.append)  # type: ignore[arg-type]
    desk.control.submit({"out": str(desk.lab.home.folder / "run")}, b"")  # of the folder's former layout
    desk.control.submit({"out": str(desk.study.run)}, b"")
    loop._stop_strays(cast(Control, desk.control))
    assert desk.control.stopped == [1]
