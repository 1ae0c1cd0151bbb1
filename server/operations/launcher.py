"""Executes the order of one study: submits the run, watches it, restarts it when it dies, and writes its state.

Every run ends in a state with its reason: done, stopped as asked, or failed with its cause. Flower needs a minute to
notice that a coordinator died; the lock on the run's folder shows it at once.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass

import psutil

from ceus_models.plan.plan import Plan
from ceus_models.runtime.atomic_files import PUBLIC, write_atomically
from ceus_models.runtime.errors import ExpectedError
from ceus_models.runtime.liveness.heartbeat import HeartbeatRecord, is_silent
from ceus_models.runtime.liveness.moment import read_clock
from ceus_models.runtime.process_tree import read_start
from ceus_models.runtime.supervisor import EventLog
from server.federation.site_register import count_enrolled
from server.operations.disk_room import LEAST_BYTES, free_bytes
from server.operations.liveness import coordinator_heartbeat
from server.rounds.roster_file import ROSTER_FILE
from server.rounds.saving.checkpoints import Store
from server.run_folder.journal import Journal
from server.run_folder.orders import FINAL_PHASES, Order, Phase, find_predecessor, read_order, read_state, write_state
from server.run_folder.paths import StudyFolder
from server.run_folder.studies import find_plan, read_settings
from server.transport.superlink_control import Control, RunState

KILLED = "its process was killed, or ran out of memory"


@dataclass(frozen=True)
class Timing:
    """Seconds: dead, from the end of the coordinator's process to the end of its run · slow, until a run that has not
    begun says so · pending, until Flower has started it · starting, from then until it is at work (a busy machine takes
    minutes to load torch; Flower notices within a minute if it dies) · hung, without a sign of life of a process that
    lives (it may add up large answers, or wait for a database) · leaving, for one that is not wanted any more.
    deaths: in one round, after which it is not started again.
    """

    dead_s: float = 10.0
    slow_s: float = 30.0
    pending_s: float = 120.0
    starting_s: float = 300.0
    hung_s: float = 600.0
    leaving_s: float = 30.0
    deaths: int = 5


class Launcher:
    """Call `step` every second or so, as long as the SuperLink answers."""

    def __init__(
        self,
        study: StudyFolder,
        told: EventLog,
        unwedge: Callable[[], None],
        timing: Timing | None = None,
    ) -> None:
        """unwedge: starts the SuperExec again, for a run that nobody takes."""
        self._study, self._told, self._unwedge = study, told, unwedge
        self._timing = timing or Timing()
        self._journal, self._store = Journal(study.run), Store(study.run)
        self._state = read_state(study)
        self._alive = self._since = time.monotonic()
        self._deaths, self._round, self._died = 0, -1, 0
        self._room = 0

    def step(self, control: Control) -> None:
        """Check the run once and act. Raises ExpectedError if the SuperLink does not answer.

        A step that fails half-way is made again: what counts or restarts something comes after what can fail.
        """
        order = read_order(self._study)
        if order is None:
            return
        if order.id != self._state.order:
            self._deaths = self._room = 0
            self._write_state("waiting", order=order.id, run=0, launches=0)
        if self._state.phase in FINAL_PHASES:
            return
        if self._state.phase == "waiting":
            self._launch(order, control)
        else:
            self._watch(order, control)

    def _launch(self, order: Order, control: Control) -> None:
        if order.wanted != "run":
            self._write_state("stopped", "as asked")
            return
        if before := find_predecessor(self._study):
            self._write_state("waiting", f"after {before.name}, which is {read_state(before).phase}")
            return
        if free_bytes(self._study.run) < self._room:
            return  # the state says so
        for run, out in control.list_unfinished().items():
            if out == str(self._study.run):
                control.stop(run)
        if self._journal.is_held():
            self._write_state("waiting", "an earlier coordinator of this run has not ended yet")
            self._end_leftover()
            return
        self._journal.prepare_restart()
        self._take_roster()
        self._round = self._store.newest()
        run = control.submit(self._settings(), self._study.bundle.read_bytes())
        self._alive = self._since = time.monotonic()
        self._write_state("starting", run=run, launches=self._state.launches + 1)

    def _end_leftover(self) -> None:
        """One that hangs would keep the run's folder for ever."""
        beat = self._last_beat()
        if beat is None or not is_silent(None, self._state.moment, read_clock(), self._timing.leaving_s):
            return
        with suppress(psutil.NoSuchProcess):
            if beat.since.boot != read_clock().boot or read_start(beat.pid) > beat.since.running:
                return  # another process, which got the number later
            psutil.Process(beat.pid).kill()
            self._tell("killed", pid=beat.pid, reason="it kept the run's folder, and did not end")

    def _last_beat(self) -> HeartbeatRecord | None:
        return coordinator_heartbeat(self._study).last()

    def _take_roster(self) -> None:
        """A run sends the roster of its start, which stays in its folder."""
        roster = self._study.home.roster
        if roster.exists():
            write_atomically(self._study.run / ROSTER_FILE, roster.read_bytes(), PUBLIC)

    def _settings(self) -> dict[str, str | int | float]:
        return {
            "plan": str(find_plan(self._study)),
            "out": str(self._study.run),
            "seed": read_settings(self._study).seed,
            "sites": max(count_enrolled(self._study.home), 1),
        }

    def _watch(self, order: Order, control: Control) -> None:
        seen = control.state(self._state.run)
        moment = time.monotonic()
        if self._journal.is_held():
            self._alive = moment
            if self._state.phase == "starting":
                self._write_state("running")
        if seen.completed:
            self._write_state("done")
        elif order.wanted == "halt" and not seen.finished:
            control.stop(self._state.run)
            self._write_state("stopped", "at once, as asked")
        elif seen.finished or (self._state.phase != "starting" and moment - self._alive > self._timing.dead_s):
            self._record_end(order, seen, control)
        elif self._state.phase == "starting":
            self._wait_for_start(seen, moment - self._since, control)
        elif is_silent(self._last_beat(), self._state.moment, read_clock(), self._timing.hung_s):
            self._relaunch(control, f"it gave no sign of life for {self._timing.hung_s:.0f} s")
        elif order.wanted == "stop" and self._state.phase == "running":
            self._journal.request_stop()
            self._write_state("stopping")

    def _wait_for_start(self, seen: RunState, waited_s: float, control: Control) -> None:
        """A run that is submitted and not at work yet."""
        if waited_s > self._start_timeout(seen):
            self._relaunch(control, f"it was not at work within {self._start_timeout(seen):.0f} s")
            self._unwedge()
        elif waited_s > self._timing.slow_s:
            what = "its process was started and is not at work" if seen.started else "the SuperExec has not taken it"
            self._write_state("starting", f"{what} yet; it is started anew after {self._start_timeout(seen):.0f} s")

    def _start_timeout(self, seen: RunState) -> float:
        return self._timing.starting_s if seen.started else self._timing.pending_s

    def _record_end(self, order: Order, seen: RunState, control: Control) -> None:
        said = self._journal.read_failure()
        if order.wanted != "run":
            self._write_state("stopped", said or "as asked")
        elif said and self._journal.needs_room():
            self._room = free_bytes(self._study.run) + LEAST_BYTES
            self._write_state("waiting", f"{said}. It goes on by itself when there is more room")
        elif said and not self._journal.is_transient():
            self._write_state("failed", said)
        else:
            self._relaunch(control, said or seen.details.strip() or KILLED)

    def _relaunch(self, control: Control, cause: str) -> None:
        if self._state.run in control.list_unfinished():
            control.stop(self._state.run)
        self._count_death()
        if self._deaths >= self._timing.deaths:
            log = self._study.home.logs / "superexec.log"
            self._write_state(
                "failed", f"the coordinator ended {self._deaths} times in the same round ({cause}); read {log}"
            )
        else:
            self._write_state("waiting", f"started again: {cause}")

    def _count_death(self) -> None:
        """Count the end of a run once, however often this step is made."""
        if self._died == self._state.run:
            return
        newest = self._store.newest()
        self._deaths = 1 if newest != self._round else self._deaths + 1
        self._round, self._died = newest, self._state.run

    def _write_state(self, phase: Phase, cause: str = "", **changes: object) -> None:
        new = self._state.model_copy(update={"phase": phase, "cause": cause, **asdict(read_clock()), **changes})
        if (new.phase, new.cause, new.run) == (self._state.phase, self._state.cause, self._state.run):
            return
        write_state(self._study, new)  # first: where the disk is full, it is said again
        self._state = new
        self._tell("run", phase=phase, cause=cause, run=str(new.run), launches=new.launches)

    def _tell(self, event: str, **more: object) -> None:
        self._told({"event": event, "study": self._study.name, **more})


def check_bundle(study: StudyFolder, plan: Plan) -> None:
    """Raises ExpectedError where the bundle that the sites approved is of another plan."""
    if not study.bundle.exists() or plan.digest().encode() not in study.bundle.read_bytes():
        raise ExpectedError(
            "the plan is not the one in the bundle: run `ceus-coordinator init`, and let the sites approve the new one"
        )
