"""The coordinator's journal in its run folder: events as they happen, and why the run stopped."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from ceus_models.runtime.atomic_files import PUBLIC, end_last_line, write_atomically
from ceus_models.runtime.errors import ExpectedError
from ceus_models.runtime.file_locks import hold_lock, is_held
from ceus_models.runtime.liveness.moment import read_clock
from server.rounds.events import Answered, Event, Finished, Started

_EVENTS = "events.jsonl"
_FAILURE = "failure.json"
_STOP = "stop"
_LOCK = ".coordinator.lock"
COORDINATOR = ".coordinator.pulse"
"""The heartbeat of the coordinator's process."""
_TYPES: dict[str, TypeAdapter[Event]] = {cls.__name__: TypeAdapter(cls) for cls in (Started, Answered, Finished)}


@dataclass(frozen=True)
class Journal:
    """The journal of one run, in `folder`. The coordinator writes it, another process follows it."""

    folder: Path

    def begin(self) -> None:
        """Delete the events and the failure of an earlier run."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for name in (_EVENTS, _FAILURE):
            (self.folder / name).unlink(missing_ok=True)

    def prepare_restart(self) -> None:
        """Prepare to continue the same run: keep its events, delete its failure and stop request."""
        for name in (_FAILURE, _STOP, COORDINATOR):
            (self.folder / name).unlink(missing_ok=True)

    def request_stop(self) -> None:
        """Ask the coordinator to stop after the current round."""
        (self.folder / _STOP).touch()

    def is_stop_requested(self) -> bool:
        """Whether the coordinator is asked to stop."""
        return (self.folder / _STOP).exists()

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Lock the folder for one coordinator process. Raises ExpectedError if another holds the lock."""
        busy = ExpectedError(f"another coordinator runs in {self.folder}; stop it, or give another folder")
        with hold_lock(self.folder / _LOCK, busy):
            end_last_line(self.folder / _EVENTS)
            yield

    def is_held(self) -> bool:
        """Whether a coordinator runs in the folder."""
        return is_held(self.folder / _LOCK)

    def append(self, event: Event) -> None:
        """Append one event. A `server.rounds.coordinator.Listener`."""
        name = type(event).__name__
        body = _TYPES[name].dump_python(event, mode="json")
        with (self.folder / _EVENTS).open("a", encoding="utf-8") as file:
            file.write(json.dumps({"event": name, **asdict(read_clock()), **body}) + "\n")

    def follow(self, from_now: bool = False) -> Iterator[Event | None]:
        """Yield events in order, None while there is no new one. from_now: skip existing events."""
        path = self.folder / _EVENTS
        place = path.stat().st_size if from_now and path.exists() else 0
        while True:
            event, place = self._event_at(place)
            yield event

    def read_current_round(self) -> list[dict[str, Any]]:
        """Read the events of the latest round, each with `event` and the fields of its moment."""
        path = self.folder / _EVENTS
        if not path.exists():
            return []
        found: list[dict[str, Any]] = []
        for line in path.read_bytes().splitlines():
            try:
                event = json.loads(line)
            except ValueError:
                continue
            found = [event] if event.get("event") == Started.__name__ else [*found, event]
        return found

    def write_failure(self, reason: str, passing: bool = False, room: bool = False) -> None:
        """Write why the run stopped, in one sentence, atomically.

        Args:
            passing: the cause is temporary and outside the study; the run may be restarted unchanged.
            room: a disk was full; the run may be restarted when it has more room.
        """
        said = {"reason": reason, "passing": passing or room, "room": room}
        write_atomically(self.folder / _FAILURE, json.dumps(said).encode(), PUBLIC)

    def read_failure(self) -> str | None:
        """Read why the run stopped; None if unknown."""
        said = self._read_stop()
        return str(said["reason"]) if said else None

    def is_transient(self) -> bool:
        """Whether the run stopped for a temporary cause."""
        said = self._read_stop()
        return bool(said and said.get("passing"))

    def needs_room(self) -> bool:
        """Whether the run stopped because a disk was full."""
        said = self._read_stop()
        return bool(said and said.get("room"))

    def _read_stop(self) -> dict[str, Any] | None:
        try:
            said = json.loads((self.folder / _FAILURE).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return said if isinstance(said, dict) and "reason" in said else None

    def _event_at(self, place: int) -> tuple[Event | None, int]:
        path = self.folder / _EVENTS
        if not path.exists():
            return None, place
        with path.open("rb") as file:
            file.seek(place)
            line = file.readline()
        if not line.endswith(b"\n"):
            return None, place  # it is being written
        return _event(line), place + len(line)


def _event(line: bytes) -> Event | None:
    try:
        body = json.loads(line)
        return _TYPES[body.pop("event")].validate_python(body)
    except (ValueError, KeyError, AttributeError, ValidationError):
        return None  # a line of another version: the study does not depend on it
