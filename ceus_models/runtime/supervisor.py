"""Long-lived processes that are started again whenever they end, later with every short life in a row."""

from __future__ import annotations

import json
import signal
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import FrameType

from ceus_models.runtime.process_tree import Fleet, last_line

_LONGEST_PAUSE_S = 60.0
_STEADY_S = 60.0  # who lived so long is started again at once

Told = Callable[[Mapping[str, object]], None]
"""Is told one event: event, at (seconds since 1970), and what belongs to it."""


def said(event: Mapping[str, object]) -> None:
    """One JSON line on standard output: the structured log."""
    print(json.dumps({"at": round(time.time(), 3), **event}), flush=True)


@dataclass(frozen=True)
class Service:
    """A process that should always run."""

    name: str
    command: Sequence[str]
    env: Mapping[str, str]


@dataclass
class _Life:
    service: Service
    began: float | None = None
    due: float = 0.0
    short: int = 0


class Supervisor:
    """Keeps services running in a fleet. `step` must be called every second or so."""

    def __init__(self, fleet: Fleet, services: Sequence[Service], told: Told = said) -> None:
        """services: in the order in which they are started."""
        self._fleet, self._told = fleet, told
        self._lives = {service.name: _Life(service) for service in services}

    def step(self) -> None:
        """Start what is due, and notice what has ended."""
        for life in self._lives.values():
            if life.began is not None:
                self._look(life, life.began)
            if life.began is None and time.monotonic() >= life.due:
                self._start(life)

    def restart(self, name: str, why: str) -> None:
        """End a service that runs and is of no use; the next step starts it again."""
        life = self._lives[name]
        if life.began is None:
            return
        self._fleet.stop(name)
        life.began, life.due = None, 0.0
        self._told({"event": "restarted", "service": name, "reason": why})

    def is_running(self, name: str) -> bool:
        """Whether the service's process lives."""
        life = self._lives[name]
        return life.began is not None and self._fleet.ended(name) is None

    def running_for(self, name: str) -> float:
        """Seconds since the service's process was started; 0 while there is none."""
        began = self._lives[name].began
        return time.monotonic() - began if began is not None and self.is_running(name) else 0.0

    def last_word(self, name: str) -> str:
        """What a service said last: why it does not run, where it does not."""
        return last_line(self._fleet.log(name)) if self._fleet.log(name).exists() else "it was not started yet"

    def _start(self, life: _Life) -> None:
        name = life.service.name
        pid = self._fleet.start(name, life.service.command, dict(life.service.env))
        life.began = time.monotonic()
        self._told({"event": "started", "service": name, "pid": pid})

    def _look(self, life: _Life, began: float) -> None:
        name = life.service.name
        code = self._fleet.ended(name)
        if code is None:
            return
        life.short = 0 if time.monotonic() - began >= _STEADY_S else life.short + 1
        pause = min(2.0 ** (life.short - 1), _LONGEST_PAUSE_S) if life.short else 0.0
        life.began, life.due = None, time.monotonic() + pause
        self._fleet.stop(name)  # what it left behind
        self._told(
            {
                "event": "ended",
                "service": name,
                "code": code,
                "said": last_line(self._fleet.log(name)),
                "again_s": pause,
            }
        )


class StopAsked:
    """Whether this process was asked to end, by SIGTERM or Ctrl-C. A context manager for the main thread."""

    def __init__(self) -> None:
        """Not asked yet."""
        self._event = threading.Event()

    def __enter__(self) -> StopAsked:
        """Take the signals."""
        for kind in (signal.SIGTERM, signal.SIGINT):
            signal.signal(kind, self._take)
        return self

    def __exit__(self, *_: object) -> None:
        """Give the signals back."""
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)

    def within(self, seconds: float) -> bool:
        """Whether it was asked, after waiting for it for at most so long."""
        return self._event.wait(seconds)

    def _take(self, _signal: int, _frame: FrameType | None) -> None:
        self._event.set()
