"""A connection of a console that is closed where its client stops in the middle: of a request, or of an answer.

uvicorn counts open connections and answers 503 above its limit, but gives a client that has sent half a request, or
nothing at all, all the time in the world: a few dozen of them would hold the console.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from uvicorn.protocols.http.h11_impl import H11Protocol

REQUEST_S = 10.0
"""From the connection, or the end of the last answer, to the end of a request. Forms are a few kilobytes."""
STALLED_S = 30.0
"""An answer that the client does not take for so long ends. A large download goes on as long as it moves."""


class BoundedConnection(H11Protocol):
    """uvicorn's HTTP/1.1 with a time limit on all that a client may leave unfinished."""

    request_s, stalled_s = REQUEST_S, STALLED_S
    _deadline: asyncio.TimerHandle | None = None
    _stalled: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for the first request."""
        super().connection_made(transport)
        self._wait_for_request()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop all clocks."""
        _stop(self._deadline)
        _stop(self._stalled)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on; a whole request stops the clock."""
        super().data_received(data)
        if self.cycle is not None and not self.cycle.more_body and not self.cycle.response_complete:
            _stop(self._deadline)

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        super().on_response_complete()
        self._wait_for_request()

    def pause_writing(self) -> None:
        """The client takes no more of the answer for now."""
        super().pause_writing()
        self._stalled = self._watch(self._stalled, self.stalled_s, self._end_stalled)

    def resume_writing(self) -> None:
        """The client takes it again."""
        super().resume_writing()
        _stop(self._stalled)

    def _wait_for_request(self) -> None:
        self._deadline = self._watch(self._deadline, self.request_s, self._end_waiting)

    def _end_stalled(self, before: int) -> None:
        if self._has_moved(before):
            self._stalled = self._watch(self._stalled, self.stalled_s, self._end_stalled)

    def _end_waiting(self, before: int) -> None:
        if self._has_moved(before):  # the answer before it is still on its way
            self._wait_for_request()

    def _watch(
        self, clock: asyncio.TimerHandle | None, seconds: float, then: Callable[[int], None]
    ) -> asyncio.TimerHandle:
        """A clock in place of this one; `then` is told how many bytes waited to be taken when it began."""
        _stop(clock)
        return self.loop.call_later(seconds, then, self.transport.get_write_buffer_size())

    def _has_moved(self, before: int) -> bool:
        """Whether the client took something of an answer meanwhile; otherwise the connection ends."""
        moved = self.transport.get_write_buffer_size() < before
        if not moved:
            self.transport.abort()
        return moved


def _stop(clock: asyncio.TimerHandle | None) -> None:
    if clock is not None:
        clock.cancel()
