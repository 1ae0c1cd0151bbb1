"""What the coordinator tells whoever started it, through its run folder: events as they happen, and why it stopped."""

from __future__ import annotations

import fcntl
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from ceus_models.failures import ExpectedError
from server.coordinator import Answered, Event, Finished, Started

_EVENTS = "events.jsonl"
_FAILURE = "failure.json"
_LOCK = ".coordinator.lock"
_LOCK_S = 3.0  # somebody who only looks holds the lock for a moment
_TYPES: dict[str, TypeAdapter[Event]] = {cls.__name__: TypeAdapter(cls) for cls in (Started, Answered, Finished)}


@dataclass(frozen=True)
class Journal:
    """The journal of one run, in `folder`. The coordinator writes it, another process follows it."""

    folder: Path

    def begin(self) -> None:
        """Forget an earlier run of the same folder."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for name in (_EVENTS, _FAILURE):
            (self.folder / name).unlink(missing_ok=True)

    @contextmanager
    def held(self) -> Iterator[None]:
        """The folder is one coordinator's own, until it leaves or dies. Raises ExpectedError if another has it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / _LOCK).open("w") as lock:
            end = time.monotonic() + _LOCK_S
            while not _locked(lock.fileno(), fcntl.LOCK_EX):
                if time.monotonic() > end:
                    raise ExpectedError(f"another coordinator works in {self.folder}; stop it, or give another folder")
                time.sleep(0.05)
            yield

    def is_held(self) -> bool:
        """Whether a coordinator is at work in the folder."""
        path = self.folder / _LOCK
        if not path.exists():
            return False
        with path.open() as lock:
            return not _locked(lock.fileno(), fcntl.LOCK_SH)

    def tell(self, event: Event) -> None:
        """Add one event. A `server.coordinator.Listener`."""
        name = type(event).__name__
        body = _TYPES[name].dump_python(event, mode="json")
        with (self.folder / _EVENTS).open("a", encoding="utf-8") as file:
            file.write(json.dumps({"event": name, **body}) + "\n")

    def follow(self) -> Iterator[Event | None]:
        """Events in order; None whenever there is no further one yet."""
        place = 0
        while True:
            event, place = self._event_at(place)
            yield event

    def fail(self, reason: str) -> None:
        """Say why the run stopped, in one sentence; the file is there whole or not at all."""
        self.folder.mkdir(parents=True, exist_ok=True)
        partial = self.folder / f".{_FAILURE}.partial"
        partial.write_text(json.dumps({"reason": reason}), encoding="utf-8")
        partial.replace(self.folder / _FAILURE)

    def failure(self) -> str | None:
        """Why the run stopped; None if it said nothing."""
        try:
            reason = json.loads((self.folder / _FAILURE).read_text(encoding="utf-8"))["reason"]
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return str(reason)

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


def _locked(file: int, kind: int) -> bool:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
