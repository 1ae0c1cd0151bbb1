"""The daemon's half of a run: every run ends in a state that says why, and one that dies is started again."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from made_federation import Lab, lab

from ceus_models.plan.plan import load_plan
from ceus_models.plan.progress import Progress
from ceus_models.runtime.errors import ExpectedError
from server.operations.launcher import Launcher, Timing, check_bundle
from server.rounds.saving.checkpoints import Store
from server.run_folder.journal import Journal
from server.run_folder.orders import order_run, order_stop, read_state
from server.transport.superlink_control import RunState

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

    def step(self) -> str:
        self.launcher.step(self.control)  # type: ignore[arg-type]
        return read_state(self.lab.study).phase

    @property
    def journal(self) -> Journal:
        return Journal(self.lab.study.run)

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
    return Desk(made, FakeControl(), told, unwedged, launcher)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    made = lab(tmp_path / "co")
    made.joined(tmp_path / "s")
    return desk_of(made)


def test_nothing_is_done_without_an_order(desk: Desk) -> None:
    assert desk.step() == "none"
    assert desk.control.submitted == []


def test_an_ordered_run_is_submitted_with_the_approved_bytes_and_followed_to_its_end(desk: Desk) -> None:
    order = order_run(desk.lab.study)
    assert [desk.step(), desk.step()] == ["starting", "starting"]
    (submitted,) = desk.control.submitted
    assert submitted["fab"] == desk.lab.study.bundle.read_bytes()
    assert (submitted["sites"], submitted["seed"], submitted["out"]) == (1, 1, str(desk.lab.study.run))
    with desk.coordinator():
        assert order_run(desk.lab.study) == order, "who asks again only looks on"
    desk.control.end(completed=True)
    assert [desk.step(), desk.step()] == ["done", "done"]
    assert len(desk.control.submitted) == 1
    assert order_run(desk.lab.study) != order
    assert [e["phase"] for e in desk.told] == ["waiting", "starting", "running", "done"]


def test_a_coordinator_that_was_killed_is_started_again_at_once(desk: Desk) -> None:
    order_run(desk.lab.study)
    desk.step()
    with desk.coordinator():
        pass
    assert desk.step() == "waiting"
    assert "was killed, or ran out of memory" in read_state(desk.lab.study).cause
    assert desk.control.stopped == [1], "Flower would take a minute to notice"
    assert desk.step() == "starting"
    assert read_state(desk.lab.study).launches == 2


def test_one_that_dies_in_the_same_round_again_and_again_is_given_up(desk: Desk) -> None:
    order_run(desk.lab.study)
    phases = []
    for _ in range(3):
        desk.step()
        with desk.coordinator():
            pass
        phases.append(desk.step())
    assert phases == ["waiting", "waiting", "failed"]
    assert "ended 3 times in the same round" in read_state(desk.lab.study).cause


def test_a_superlink_that_fails_on_every_call_makes_no_more_deaths_of_one(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: int) -> None:
        raise ExpectedError("the SuperLink failed on a request (HTTPStatusError)")

    order_run(desk.lab.study)
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

    order_run(desk.lab.study)
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
    order_run(desk.lab.study)
    for _ in range(4):  # more often than a run may die in one round
        assert desk.step() == "starting"
        with desk.coordinator():
            desk.journal.write_failure("the checkpoint cannot be written (No space left on device)", room=True)
        desk.control.end()
        assert desk.step() == "waiting"
        launches = len(desk.control.submitted)
        assert "goes on by itself when there is more room" in read_state(desk.lab.study).cause
        assert [desk.step() for _ in range(5)] == ["waiting"] * 5
        assert len(desk.control.submitted) == launches
        room[0] += 65 << 20


def test_one_that_gets_on_between_its_deaths_is_not_given_up(desk: Desk) -> None:
    order_run(desk.lab.study)
    for _ in range(5):
        desk.step()
        with desk.coordinator():
            Store(desk.lab.study.run).save(Progress(), "plan", 1)
        assert desk.step() == "waiting"


def test_what_the_coordinator_says_is_the_cause_and_final(desk: Desk) -> None:
    order_run(desk.lab.study)
    desk.step()
    with desk.coordinator():
        desk.journal.write_failure("site-01 must take part")
    desk.control.end(details="exception in the ServerApp")
    assert desk.step() == "failed"
    assert read_state(desk.lab.study).cause == "site-01 must take part"
    order_run(desk.lab.study)
    assert [desk.step(), desk.journal.read_failure()] == ["starting", None]


def test_a_superlink_that_was_lost_is_no_reason_to_give_up(desk: Desk) -> None:
    order_run(desk.lab.study)
    desk.step()
    with desk.coordinator():
        desk.journal.write_failure("the SuperLink failed 8 times in a row", passing=True)
    desk.control.end()
    assert [desk.step(), desk.step()] == ["waiting", "starting"]


def test_a_run_that_nobody_takes_is_taken_back_and_the_superexec_started_again(desk: Desk) -> None:
    desk = desk_of(desk.lab, Timing(pending_s=0.0, deaths=3))
    order_run(desk.lab.study)
    assert desk.step() == "starting"
    desk.control.runs[1] = RunState(False, False, False, "")
    assert desk.step() == "waiting"
    assert desk.unwedged == [True]
    assert desk.control.stopped == [1]


def test_a_run_that_is_slow_to_start_is_left_alone(desk: Desk) -> None:
    """Taken by the SuperExec, and still loading: on a busy machine minutes, and starting it anew would never end."""
    desk = desk_of(desk.lab, Timing(pending_s=0.0, deaths=3))
    order_run(desk.lab.study)
    assert [desk.step(), desk.step(), desk.step()] == ["starting"] * 3
    assert desk.unwedged == []
    with desk.coordinator():
        assert desk.step() == "running"


def test_a_run_that_does_not_begin_says_what_it_waits_for(desk: Desk) -> None:
    desk = desk_of(desk.lab, Timing(slow_s=0.0, deaths=3))
    order_run(desk.lab.study)
    desk.step()
    desk.control.runs[1] = RunState(False, False, False, "")
    assert desk.step() == "starting"
    assert "the SuperExec has not taken it yet" in read_state(desk.lab.study).cause
    desk.control.runs[1] = RunState(True, False, False, "")
    assert desk.step() == "starting"
    assert "its process was started and is not at work yet" in read_state(desk.lab.study).cause
    with desk.coordinator():
        assert read_state(desk.lab.study).cause == ""


def test_a_run_that_nobody_ever_takes_comes_to_an_end(desk: Desk) -> None:
    desk = desk_of(desk.lab, Timing(pending_s=0.0, deaths=3))
    order_run(desk.lab.study)
    for number in (1, 2, 3):
        assert desk.step() == "starting"
        desk.control.runs[number] = RunState(False, False, False, "")
        desk.step()
    assert read_state(desk.lab.study).phase == "failed"
    assert "it was not at work within 0 s" in read_state(desk.lab.study).cause


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
    order_run(desk.lab.study)
    desk.step()
    child = subprocess.Popen([sys.executable, "-c", HANGS, str(desk.lab.study.run)], stdout=subprocess.PIPE)
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == b"here\n"
        assert desk.step() == "running"
        time.sleep(1.0)
        assert desk.step() == "waiting"
        assert "gave no sign of life" in read_state(desk.lab.study).cause
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

    order_run(desk.lab.study)
    with monkeypatch.context() as patch:
        patch.setattr("server.operations.launcher.write_state", full)
        with pytest.raises(OSError, match="No space left"):
            desk.step()
    assert desk.step() == "starting"
    assert read_state(desk.lab.study).phase == "starting"


def test_a_stop_waits_for_the_round_and_a_halt_does_not(desk: Desk) -> None:
    home = desk.lab.study
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
    order_run(desk.lab.study)
    desk.step()
    with ExitStack() as alive:
        alive.enter_context(desk.coordinator())
    after = desk_of(desk.lab)
    after.control.submitted, after.control.runs = desk.control.submitted, desk.control.runs
    assert after.step() == "waiting"
    assert after.step() == "starting"
    assert len(after.control.submitted) == 2


def test_a_coordinator_that_lives_on_is_waited_for_and_not_joined_by_a_second(desk: Desk) -> None:
    order_run(desk.lab.study)
    with desk.journal.hold():
        assert desk.step() == "waiting"
        assert "has not ended yet" in read_state(desk.lab.study).cause
        assert desk.control.submitted == []
    assert desk.step() == "starting"


def test_a_plan_that_is_not_in_the_bundle_is_not_run(desk: Desk) -> None:
    plan = load_plan(desk.lab.home.folder / "plan.yaml")
    check_bundle(desk.lab.study, plan)
    with pytest.raises(ExpectedError, match="not the one in the bundle"):
        check_bundle(desk.lab.study, replace(plan, name="other"))
