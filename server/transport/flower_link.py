"""The link through Flower: tasks to the sites of a grid, and their answers.

Flower's own `send_and_receive` drops missing nodes silently, returns nothing before the last reply, and can exceed its
time-out. So `server.transport.delivery` does the exchange, and Flower only transports single messages.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from flwr.app import Message, RecordDict
from flwr.common.constant import ErrorCode
from flwr.serverapp import Grid

from ceus_models.plan.terms.deadlines import Deadlines
from ceus_models.protocol.flower_records import NAME_QUERY, TASK_QUERY, CourierError, from_record, to_record
from ceus_models.runtime.errors import ExpectedError
from server.transport.delivery import RETRY_SCHEDULE, RetryingLink, RetrySchedule
from server.transport.message_log import MessageLog
from server.transport.node_registry import NodeAddress, Reply

_TOGETHER = 4  # replies fetched in one request, and in memory at once
_MOST_FAULTS = 8

_FAULTS: dict[int, str] = {
    ErrorCode.LOAD_CLIENT_APP_EXCEPTION: "its courier could not be loaded; install the same version there",
    ErrorCode.CLIENT_APP_RAISED_EXCEPTION: "its courier failed",
    ErrorCode.MESSAGE_UNAVAILABLE: "the message was lost on the way",
    ErrorCode.REPLY_MESSAGE_UNAVAILABLE: "its answer was lost on the way",
    ErrorCode.NODE_UNAVAILABLE: "its node went away",
    ErrorCode.INVALID_FAB: "its runner refused the bundle or the run's settings: its IT must run `ceus-site approve`",
    ErrorCode.CLIENT_APP_CRASHED: "its courier crashed",
    CourierError.NOT_CONFIGURED: "its node's configuration names no worker",
    CourierError.NO_WORKER: "its worker cannot be reached",
    CourierError.TOO_SLOW: "its worker gave no answer in time",
    CourierError.BAD_MESSAGE: "its courier could not read the message",
}
_TRANSIENT = {
    ErrorCode.MESSAGE_UNAVAILABLE,
    ErrorCode.REPLY_MESSAGE_UNAVAILABLE,
    ErrorCode.NODE_UNAVAILABLE,
    ErrorCode.CLIENT_APP_CRASHED,
    CourierError.NO_WORKER,
}


class SuperLinkLost(ExpectedError):
    """The SuperLink failed for a long time. The study itself has no error and can continue."""


T = TypeVar("T")


def flower_link(
    grid: Grid,
    expected: int,
    deadlines: Deadlines,
    mirror: MessageLog,
    rhythm: RetrySchedule = RETRY_SCHEDULE,
    alive: Callable[[], None] = lambda: None,
) -> RetryingLink:
    """Open a link to the sites of a Flower grid.

    Args:
        expected: number of sites to wait for.
        mirror: the message log, which also holds the sites' earlier response times and the marks of their audits.
        alive: called before every call of the SuperLink.
    """
    link = RetryingLink(FlowerTransport(grid, rhythm.poll_s, alive), expected, deadlines, mirror, rhythm)
    for line in mirror.read_lines():
        link.histories.load_line(line)
        link.audits.load_line(line)
    return link


class FlowerTransport:
    """Messages through a Flower grid; temporary faults, as an HTTP 500 of a busy SuperLink, are retried.

    Error texts are chosen here by error code, never taken from the other side.
    """

    def __init__(self, grid: Grid, pause_s: float, alive: Callable[[], None] = lambda: None) -> None:
        """pause_s: after a fault, longer with every consecutive one; alive: called before every call."""
        self._grid, self._pause_s, self._alive = grid, pause_s, alive
        self._faults = 0
        self._nodes: set[NodeAddress] = set()

    def nodes(self) -> set[NodeAddress]:
        """The nodes that are online now; after a fault, those of the last query."""

        def look() -> set[NodeAddress]:
            nodes = self._grid.get_nodes()
            return {NodeAddress(node.node_id, node.last_activated_at, node.name) for node in nodes}

        self._nodes = self._try(look, self._nodes)
        return self._nodes

    def send(self, data: bytes, group: str, ttl_s: float, nodes: Sequence[int]) -> list[str | None]:
        """Send one message to each node; their ids, None where sending failed. The content is uploaded once."""
        content = to_record(data)
        return self._push([Message(content, node, TASK_QUERY, ttl=max(ttl_s, 1.0), group_id=group) for node in nodes])

    def ask_name(self, node: int, ttl_s: float) -> str | None:
        """Send a query for a node's name; its id."""
        return self._push([Message(RecordDict(), node, NAME_QUERY, ttl=ttl_s)])[0]

    def replies(self, letters: Sequence[str]) -> Iterator[Reply]:
        """Yield the replies that have arrived, a few in memory at a time."""
        for start in range(0, len(letters), _TOGETHER):
            ready = self._pull(letters[start : start + _TOGETHER])
            while ready:
                yield _reply(ready.pop())

    def _pull(self, letters: Sequence[str]) -> list[Message]:
        return self._try(lambda: list(self._grid.pull_messages(letters)), [])

    def _push(self, messages: list[Message]) -> list[str | None]:
        none: list[str | None] = [None] * len(messages)
        sent = self._try(lambda: list[str | None](self._grid.push_messages(messages)), none)
        return sent if len(sent) == len(messages) else none

    def _try(self, call: Callable[[], T], otherwise: T) -> T:
        self._alive()
        try:
            result = call()
        except Exception as error:
            self._faults += 1
            if self._faults >= _MOST_FAULTS:
                raise SuperLinkLost(
                    f"the SuperLink failed {self._faults} times in a row ({type(error).__name__}); read its log, then "
                    "start the same command again: it continues from the last saved round"
                ) from error
            time.sleep(self._pause_s * self._faults)
            return otherwise
        self._faults = 0
        return result


def _reply(message: Message) -> Reply:
    letter = message.metadata.reply_to_message_id
    if message.has_error():
        code = int(message.error.code)
        return Reply(
            letter, fault=_FAULTS.get(code, f"its node answered with error {code}"), passing=code in _TRANSIENT
        )
    try:
        return Reply(letter, data=from_record(message.content))
    except ValueError:
        return Reply(letter, fault="its answer is not a message of this protocol")
