"""The ClientApp: Flower starts it anew for every message, and it carries bytes to the worker and back.

It holds no data and reads no message: the node's configuration tells it the site's name and the worker's socket. It
always gives a reply, because Flower's node waits for one without limit, and the words in an error are ours only,
because Flower sends an exception's text to the coordinator as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from flwr.app import Context, Error, Message, RecordDict
from flwr.clientapp import ClientApp

from ceus_models.protocol.flower_records import NAME_QUERY, TASK_QUERY, CourierError, from_record, to_record
from ceus_models.runtime.supervisor import log_event
from client.courier.ipc import FrameError, WorkerTooSlowError, WorkerUnreachableError, ask

_MARGIN_S = 5.0  # what is left of a message's time for the way back
_SHORTEST_S = 1.0
PATIENCE_S = 60.0
"""So long a worker may take to start: a message that came meanwhile need not be sent again."""

_CODES: dict[type[BaseException], tuple[CourierError, str]] = {
    WorkerUnreachableError: (CourierError.NO_WORKER, "the site's worker cannot be reached"),
    WorkerTooSlowError: (CourierError.TOO_SLOW, "the site's worker gave no answer in time"),
    FrameError: (
        CourierError.BAD_MESSAGE,
        "the site's worker and courier are not of one version: install the same for both",
    ),
    ValueError: (CourierError.BAD_MESSAGE, "the courier was sent something that is no message of this protocol"),
    KeyError: (CourierError.NOT_CONFIGURED, "the node's configuration must name 'site' and 'socket'"),
}
_UNKNOWN = (CourierError.BAD_MESSAGE, "the courier failed; the site's log says where")

app = ClientApp()


@app.query(TASK_QUERY.partition(".")[2])
def carry(message: Message, context: Context) -> Message:
    """The worker's answer to the bytes in `message`, or an error with a code of ours."""
    return _answer(message, lambda: to_record(_carry_task(message, context)))


@app.query(NAME_QUERY.partition(".")[2])
def name(message: Message, context: Context) -> Message:
    """This site's name, from the node's own configuration; the worker is not woken for it."""
    return _answer(message, lambda: to_record(_setting(context, "site").encode()))


def _carry_task(message: Message, context: Context) -> bytes:
    timeout = max(message.metadata.ttl - _MARGIN_S, _SHORTEST_S)  # not by its date: the site's clock may be wrong
    return ask(Path(_setting(context, "socket")), from_record(message.content), timeout, PATIENCE_S)


def _setting(context: Context, key: str) -> str:
    value = context.node_config[key]
    if not isinstance(value, str) or not value:
        raise KeyError(key)
    return value


def _answer(message: Message, work: Callable[[], RecordDict]) -> Message:
    try:
        return Message(work(), reply_to=message)
    except BaseException as error:  # SystemExit too: without a reply the node would wait for a minute or for ever
        code, reason = _CODES.get(type(error), _UNKNOWN)
        log_event({"event": "courier", "reason": reason, "type": type(error).__name__})  # the log, at the site
        return Message(Error(int(code), reason), reply_to=message)
