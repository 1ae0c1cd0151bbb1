"""What hinders a run, for whoever looks: a run that is dead, or that nobody takes, says so within a minute.

`up` mends what it can and goes on trying; this is what is wrong meanwhile. It reads files only, so it holds too where
`up` itself, or the SuperLink, is dead or hangs.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from server.run_folder.heartbeat import COORDINATOR, SILENT_S, Heartbeat, HeartbeatRecord
from server.run_folder.orders import FINAL_PHASES, State
from server.run_folder.paths import Home

_MOVING = ("running", "stopping")


@dataclass(frozen=True)
class Trouble:
    """since: seconds since 1970; of the last sign of life, where it is silence."""

    said: str
    since: float


@dataclass(frozen=True)
class Observations:
    """What is known without asking anybody. up: whether `up` holds its lock · online: the sites that are connected,
    None where the SuperLink cannot be asked · moment: seconds since 1970.
    """

    up: bool
    online: Collection[str] | None
    moment: float


def coordinator_heartbeat(home: Home) -> Heartbeat:
    """Of the process that walks the plan."""
    return Heartbeat(home.run / COORDINATOR)


def find_trouble(home: Home, state: State, seen: Observations) -> Trouble | None:
    """Why the run does not get on; None if it does, is over, or was never ordered."""
    if state.phase in FINAL_PHASES or state.phase == "none":
        return None
    daemon = Heartbeat(home.up_heartbeat).last()
    return _of_daemon(daemon, state, seen) or _of_start(state, seen) or _of_coordinator(home, state, seen)


def is_silent(beat: HeartbeatRecord | None, since: float, moment: float, silent_s: float = SILENT_S) -> bool:
    """Whether a process that should beat since then has not for too long."""
    return moment - max(beat.at if beat else 0.0, since) > silent_s


def _of_daemon(beat: HeartbeatRecord | None, state: State, seen: Observations) -> Trouble | None:
    at = beat.at if beat else state.at
    if not seen.up:
        return Trouble("`ceus-coordinator up` has ended, and nothing runs without it: start it again", at)
    if beat and is_silent(beat, 0.0, seen.moment):
        return Trouble("`ceus-coordinator up` gives no sign of life: end it and start it again", at)
    return Trouble(beat.doing, beat.since) if beat and beat.doing else None


def _of_start(state: State, seen: Observations) -> Trouble | None:
    if state.phase in _MOVING or not (state.cause or seen.moment - state.at > SILENT_S):
        return None
    return Trouble(state.cause or "nothing has begun to work on it", state.at)


def _of_coordinator(home: Home, state: State, seen: Observations) -> Trouble | None:
    if state.phase not in _MOVING:
        return None
    beat = coordinator_heartbeat(home).last()
    if is_silent(beat, state.at, seen.moment):
        doing = f", which last was at: {beat.doing}" if beat and beat.doing else ""
        at = beat.at if beat else state.at
        return Trouble(f"no sign of life of the coordinator's process{doing}; `up` starts it again in the end", at)
    if seen.online is not None and not seen.online:
        return Trouble("no site is connected: is the front door open, and do the sites' services run?", seen.moment)
    return None
