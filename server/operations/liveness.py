"""Detection of problems of a run: a dead or waiting run is reported within a minute.

`up` repairs what it can and keeps trying; this module reports the current problem. It reads files only, so it also
works if `up` or the SuperLink is dead or hangs.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from server.run_folder.heartbeat import COORDINATOR, SILENT_S, Beat, Pulse
from server.run_folder.orders import OVER, State
from server.run_folder.paths import Home

_MOVING = ("running", "stopping")


@dataclass(frozen=True)
class Trouble:
    """A problem. since: in seconds since 1970, the last heartbeat if heartbeats are missing."""

    said: str
    since: float


@dataclass(frozen=True)
class Seen:
    """Observations at one moment.

    Args:
        up: whether `up` holds its lock.
        online: the connected sites; None if the SuperLink cannot be asked.
        moment: in seconds since 1970.
    """

    up: bool
    online: Collection[str] | None
    moment: float


def coordinator_pulse(home: Home) -> Pulse:
    """The heartbeat of the coordinator's process."""
    return Pulse(home.run / COORDINATOR)


def trouble_of(home: Home, state: State, seen: Seen) -> Trouble | None:
    """Find why the run makes no progress; None if it does, is over, or was never ordered."""
    if state.phase in OVER or state.phase == "none":
        return None
    daemon = Pulse(home.up_pulse).last()
    return _of_daemon(daemon, state, seen) or _of_start(state, seen) or _of_coordinator(home, state, seen)


def is_silent(beat: Beat | None, since: float, moment: float, silent_s: float = SILENT_S) -> bool:
    """Whether heartbeats of a process that should run since `since` are missing for too long.

    >>> is_silent(None, since=100.0, moment=160.0, silent_s=45.0)
    True
    """
    return moment - max(beat.at if beat else 0.0, since) > silent_s


def _of_daemon(beat: Beat | None, state: State, seen: Seen) -> Trouble | None:
    at = beat.at if beat else state.at
    if not seen.up:
        return Trouble("`ceus-coordinator up` has ended, and nothing runs without it: start it again", at)
    if beat and is_silent(beat, 0.0, seen.moment):
        return Trouble("`ceus-coordinator up` gives no sign of life: end it and start it again", at)
    return Trouble(beat.doing, beat.since) if beat and beat.doing else None


def _of_start(state: State, seen: Seen) -> Trouble | None:
    if state.phase in _MOVING or not (state.cause or seen.moment - state.at > SILENT_S):
        return None
    return Trouble(state.cause or "nothing has begun to work on it", state.at)


def _of_coordinator(home: Home, state: State, seen: Seen) -> Trouble | None:
    if state.phase not in _MOVING:
        return None
    beat = coordinator_pulse(home).last()
    if is_silent(beat, state.at, seen.moment):
        doing = f", which last was at: {beat.doing}" if beat and beat.doing else ""
        at = beat.at if beat else state.at
        return Trouble(f"no sign of life of the coordinator's process{doing}; `up` starts it again in the end", at)
    if seen.online is not None and not seen.online:
        return Trouble("no site is connected: is the front door open, and do the sites' services run?", seen.moment)
    return None
