"""One piece of work in a forked child, with a deadline: its reply comes back as bytes over a pipe.

A child inherits what is imported and what is in memory, so nothing is sent to it and nothing is loaded in it; it may
hang, crash or be killed, and the parent goes on.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from ceus_models.runtime.errors import ExpectedError

_PIECE_BYTES = 1 << 20
_LONGEST_REASON = 1000
_LENGTH_BYTES = 4


class ChildFault(ExpectedError):
    """A child that gave no reply."""

    def __init__(self, cause: Literal["too slow", "died"]) -> None:
        """cause: beyond its deadline, or ended without a reply."""
        super().__init__(f"the child {cause}")
        self.cause = cause


@dataclass(frozen=True, eq=False)
class Reply:
    """data, or code and reason of an error."""

    data: bytes = b""
    code: int | None = None
    reason: str = ""


@dataclass
class Child:
    """pid · pipe: the reading end."""

    pid: int
    pipe: int
    ended: bool = False

    def reply(self, seconds: float) -> Reply:
        """What the child said, within so many seconds. Raises ChildFault."""
        end = time.monotonic() + seconds
        header = self._read(int.from_bytes(self._read(_LENGTH_BYTES, end), "little"), end)
        said = json.loads(bytes(header))
        data = self._read(said["length"], end)
        return Reply(bytes(data), said["code"], said["reason"])

    def kill(self) -> None:
        """End it now, whatever it does."""
        if not self.ended:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)

    def end(self) -> None:
        """Leave nothing of it behind."""
        self.kill()
        if not self.ended:
            os.close(self.pipe)
            os.waitpid(self.pid, 0)
            self.ended = True

    def _read(self, count: int, end: float) -> bytearray:
        data = bytearray()
        while len(data) < count:
            ready, _, _ = select.select([self.pipe], [], [], max(0.0, end - time.monotonic()))
            if not ready:
                raise ChildFault("too slow")
            piece = os.read(self.pipe, min(_PIECE_BYTES, count - len(data)))
            if not piece:
                raise ChildFault("died")
            data += piece
        return data


def run_in_child(work: Callable[[], Reply]) -> Child:
    """Start `work` in a child. The caller has no other thread, else a lock could be held there for ever."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid:
        os.close(writing)
        return Child(pid, reading)
    try:
        os.close(reading)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides when it ends
        _write(writing, work())
    finally:
        os._exit(0)  # nothing of the parent's is cleaned up twice


def _write(pipe: int, reply: Reply) -> None:
    said = {"length": len(reply.data), "code": reply.code, "reason": reply.reason[:_LONGEST_REASON]}
    header = json.dumps(said).encode()
    with os.fdopen(pipe, "wb") as file:
        for part in (len(header).to_bytes(_LENGTH_BYTES, "little"), header, reply.data):
            file.write(part)
