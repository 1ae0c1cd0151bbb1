"""Detection of problems of a run: a dead or waiting run is reported within a minute.

`up` repairs what it can and keeps trying; this module reports the current problem. It reads files only, so it also
works if `up` or the SuperLink is dead or hangs.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from ceus_models.runtime.liveness.heartbeat import Heartbeat, HeartbeatRecord, is_silent
from ceus_models.runtime.liveness.moment import Moment, compute_age
from server.run_folder.journal import COORDINATOR
from server.run_folder.orders import FINAL_PHASES, State, find_predecessor
from server.run_folder.paths import StudyFolder

_MOVING = ("running", "stopping")


@dataclass(frozen=True)
class Trouble:
    """A problem.

    Args:
        since: in seconds since 1970, the last heartbeat if heartbeats are missing.
        for_s: seconds since then; None if unknown.
    """

    said: str
    since: float
    for_s: float | None


@dataclass(frozen=True)
class Observations:
    """Observations at one moment.

    Args:
        up: whether `up` holds its lock.
        online: the connected sites; None if the SuperLink cannot be asked.
    """

    up: bool
    online: Collection[str] | None
    moment: Moment


def coordinator_heartbeat(study: StudyFolder) -> Heartbeat:
    """The heartbeat of the coordinator's process."""
    return Heartbeat(study.run / COORDINATOR)


def find_trouble(study: StudyFolder, state: State, seen: Observations) -> Trouble | None:
    """Find why the run makes no progress; None if it does, is over, or was never ordered."""
    if state.phase in FINAL_PHASES or state.phase == "none":
        return None
    daemon = Heartbeat(study.home.up_heartbeat).last()
    if trouble := _of_daemon(daemon, state, seen):
        return trouble
    if state.phase == "waiting" and find_predecessor(study):  # as it was ordered
        return None
    return _of_start(state, seen) or _of_coordinator(study, state, seen)


def _of_daemon(beat: HeartbeatRecord | None, state: State, seen: Observations) -> Trouble | None:
    at = beat.at if beat else state.moment
    if not seen.up:
        return _trouble("`ceus-coordinator up` has ended, and nothing runs without it: start it again", at, seen)
    if beat and is_silent(beat, beat.at, seen.moment):
        return _trouble("`ceus-coordinator up` gives no sign of life: end it and start it again", at, seen)
    return _trouble(beat.doing, beat.since, seen) if beat and beat.doing else None


def _of_start(state: State, seen: Observations) -> Trouble | None:
    if state.phase in _MOVING or not (state.cause or is_silent(None, state.moment, seen.moment)):
        return None
    return _trouble(state.cause or "nothing has begun to work on it", state.moment, seen)


def _of_coordinator(study: StudyFolder, state: State, seen: Observations) -> Trouble | None:
    if state.phase not in _MOVING:
        return None
    beat = coordinator_heartbeat(study).last()
    if is_silent(beat, state.moment, seen.moment):
        doing = f", which last was at: {beat.doing}" if beat and beat.doing else ""
        at = beat.at if beat else state.moment
        return _trouble(
            f"no sign of life of the coordinator's process{doing}; `up` starts it again in the end", at, seen
        )
    if seen.online is not None and not seen.online:
        said = "no site is connected: is the front door open, and do the sites' services run?"
        return _trouble(said, seen.moment, seen)
    return None


def _trouble(said: str, since: Moment, seen: Observations) -> Trouble:
    return Trouble(said, since.at, compute_age(since, seen.moment))
