"""Restart long-lived processes when they end, with exponential back-off for those that end soon."""

from __future__ import annotations

import json
import signal
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import FrameType

from ceus_models.runtime.process_tree import ProcessGroup, read_last_line

_LONGEST_PAUSE_S = 60.0
_STEADY_S = 60.0  # a process that ran so long is restarted at once

EventLog = Callable[[Mapping[str, object]], None]
"""Logs one event: its name as `event`, and its fields."""


def log_event(event: Mapping[str, object]) -> None:
    """Write an event as one JSON line on standard output, with the time in seconds since 1970."""
    print(json.dumps({"at": round(time.time(), 3), **event}), flush=True)


@dataclass(frozen=True)
class Service:
    """A process that must always run."""

    name: str
    command: Sequence[str]
    env: Mapping[str, str]


@dataclass
class _ServiceState:
    service: Service
    began: float | None = None
    due: float = 0.0
    short: int = 0


class Supervisor:
    """Keeps services running. Call `step` about every second."""

    def __init__(self, fleet: ProcessGroup, services: Sequence[Service], told: EventLog = log_event) -> None:
        """Supervise `services`, which start in this order, and log each event with `told`."""
        self._fleet, self._told = fleet, told
        self._lives = {service.name: _ServiceState(service) for service in services}

    def step(self) -> None:
        """Start services that are due, and handle those that have ended."""
        for life in self._lives.values():
            if life.began is not None:
                self._check_ended(life, life.began)
            if life.began is None and time.monotonic() >= life.due:
                self._start(life)

    def restart(self, name: str, why: str) -> None:
        """Stop a running service that does not work; the next step starts it."""
        life = self._lives[name]
        if life.began is None:
            return
        self._fleet.stop(name)
        life.began, life.due = None, 0.0
        self._told({"event": "restarted", "service": name, "reason": why})

    def is_running(self, name: str) -> bool:
        """Whether the service's process runs."""
        life = self._lives[name]
        return life.began is not None and self._fleet.poll_exit_code(name) is None

    def uptime(self, name: str) -> float:
        """Seconds since the service's process was started, 0 if none runs."""
        began = self._lives[name].began
        return time.monotonic() - began if began is not None and self.is_running(name) else 0.0

    def read_last_log_line(self, name: str) -> str:
        """The last line of a service's log, which often says why it does not run."""
        return (
            read_last_line(self._fleet.log_path(name))
            if self._fleet.log_path(name).exists()
            else "it has not been started"
        )

    def _start(self, life: _ServiceState) -> None:
        name = life.service.name
        pid = self._fleet.start(name, life.service.command, dict(life.service.env))
        life.began = time.monotonic()
        self._told({"event": "started", "service": name, "pid": pid})

    def _check_ended(self, life: _ServiceState, began: float) -> None:
        name = life.service.name
        code = self._fleet.poll_exit_code(name)
        if code is None:
            return
        life.short = 0 if time.monotonic() - began >= _STEADY_S else life.short + 1
        pause = min(2.0 ** (life.short - 1), _LONGEST_PAUSE_S) if life.short else 0.0
        life.began, life.due = None, time.monotonic() + pause
        self._fleet.stop(name)  # its remaining children
        self._told(
            {
                "event": "ended",
                "service": name,
                "code": code,
                "said": read_last_line(self._fleet.log_path(name)),
                "again_s": pause,
            }
        )


class StopRequested:
    """Waits for SIGTERM or Ctrl-C. A context manager for the main thread."""

    def __init__(self) -> None:
        """Begin without a signal."""
        self._event = threading.Event()

    def __enter__(self) -> StopRequested:
        """Install the signal handlers."""
        for kind in (signal.SIGTERM, signal.SIGINT):
            signal.signal(kind, self._handle_signal)
        return self

    def __exit__(self, *_: object) -> None:
        """Restore the default handlers."""
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)

    def wait(self, seconds: float) -> bool:
        """Wait at most `seconds` for a signal; whether one has come."""
        return self._event.wait(seconds)

    def _handle_signal(self, _signal: int, _frame: FrameType | None) -> None:
        self._event.set()
