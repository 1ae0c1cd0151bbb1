"""One piece of work in a forked child, with a deadline: its reply comes back as one frame over a socket.

A child inherits what is imported and what is in memory, so nothing is sent to it and nothing is loaded in it; it may
hang, crash or be killed, and the parent goes on.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from ceus_models.runtime.errors import ExpectedError
from client.courier.ipc import MESSAGE, NOTICE, receive_frame, send_frame

_MAX_REASON = 1000


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
    """A child process and the parent's end of its socket."""

    pid: int
    connection: socket.socket
    ended: bool = False

    def reply(self, seconds: float) -> Reply:
        """Wait for the child's reply, so many seconds at most. Raises ChildFault."""
        try:
            kind, data = receive_frame(self.connection, time.monotonic() + seconds)
        except TimeoutError:
            raise ChildFault("too slow") from None
        except ConnectionError:
            raise ChildFault("died") from None
        return Reply(bytes(data)) if kind == MESSAGE else Reply(**json.loads(data))

    def kill(self) -> None:
        """End it now, whatever it does."""
        if not self.ended:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)

    def end(self) -> None:
        """Leave nothing of it behind."""
        self.kill()
        if not self.ended:
            self.connection.close()
            os.waitpid(self.pid, 0)
            self.ended = True


def run_in_child(work: Callable[[], Reply]) -> Child:
    """Start `work` in a child. The caller has no other thread, else a lock could be held there for ever."""
    parent, child = socket.socketpair()
    pid = os.fork()
    if pid:
        child.close()
        return Child(pid, parent)
    try:
        parent.close()
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides when it ends
        reply = work()
        if reply.code is None:
            send_frame(child, [reply.data])
        else:
            error = {"code": reply.code, "reason": reply.reason[:_MAX_REASON]}
            send_frame(child, [json.dumps(error).encode()], kind=NOTICE)
    finally:
        os._exit(0)  # nothing of the parent's is cleaned up twice
