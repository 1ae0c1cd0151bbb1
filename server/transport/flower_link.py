"""The link through Flower, and the door to its SuperLink: how a run is started, watched and stopped.

Flower's own `send_and_receive` loses missing nodes silently, hands out nothing until the last reply is in, and can
outwait its time-out; so the exchange is ours (`server.transport.delivery`) and only letters go through Flower.
"""

from __future__ import annotations

import hashlib
import io
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import TypeVar

from flwr.app import Message, RecordDict
from flwr.common.constant import ErrorCode, Status, SubStatus
from flwr.common.serde import fab_to_proto, user_config_to_proto
from flwr.proto.control_pb2 import (
    ListNodesRequest,
    ListRunsRequest,
    RegisterNodeRequest,
    StartRunRequest,
    StopRunRequest,
    UnregisterNodeRequest,
)
from flwr.serverapp import Grid
from flwr.supercore.control import ControlHttpClient
from flwr.supercore.fab import Fab

from ceus_models.protocol.flower_records import NAME_QUERY, TASK_QUERY, CourierError, from_record, to_record
from ceus_models.runtime.errors import ExpectedError
from server.study.deadlines import Deadlines
from server.transport.delivery import RHYTHM, PostLink, Rhythm
from server.transport.message_log import Mirror
from server.transport.node_registry import Reply, Seat

_TOGETHER = 4  # replies fetched in one request: no more than so many are in memory at once
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
_PASSING = {
    ErrorCode.MESSAGE_UNAVAILABLE,
    ErrorCode.REPLY_MESSAGE_UNAVAILABLE,
    ErrorCode.NODE_UNAVAILABLE,
    ErrorCode.CLIENT_APP_CRASHED,
    CourierError.NO_WORKER,
}


class SuperLinkLost(ExpectedError):
    """The SuperLink gave no answer for long. The study is none the worse."""


RunConfig = Mapping[str, str | int | float]
T = TypeVar("T")


def flower_link(
    grid: Grid,
    expected: int,
    deadlines: Deadlines,
    mirror: Mirror,
    rhythm: Rhythm = RHYTHM,
    alive: Callable[[], None] = lambda: None,
) -> PostLink:
    """A link to the sites of a Flower grid. expected: the number of sites to wait for · mirror: holds what each site
    took before, and is told of every letter · alive: called before every call of the SuperLink.
    """
    link = PostLink(FlowerPost(grid, rhythm.poll_s, alive), expected, deadlines, mirror, rhythm)
    for line in mirror.lines():
        link.histories.recall(line)
    return link


class FlowerPost:
    """Letters through a Flower grid, with patience for faults in passing (an HTTP 500 of a busy SuperLink is one).

    An error's text never comes from the other side: the code says enough, and the texts are ours.
    """

    def __init__(self, grid: Grid, pause_s: float, alive: Callable[[], None] = lambda: None) -> None:
        """pause_s: after a fault, longer with every one in a row · alive: called before every call."""
        self._grid, self._pause_s, self._alive = grid, pause_s, alive
        self._faults = 0
        self._nodes: set[Seat] = set()

    def nodes(self) -> set[Seat]:
        """The nodes that are online now; after a fault, those of the last look."""

        def look() -> set[Seat]:
            nodes = self._grid.get_nodes()
            return {Seat(node.node_id, node.last_activated_at, node.name) for node in nodes}

        self._nodes = self._try(look, self._nodes)
        return self._nodes

    def send(self, data: bytes, group: str, ttl_s: float, nodes: Sequence[int]) -> list[str | None]:
        """The ids of one letter to each node, None where it could not be sent. The content is sent up once."""
        content = to_record(data)
        return self._push([Message(content, node, TASK_QUERY, ttl=max(ttl_s, 1.0), group_id=group) for node in nodes])

    def ask_name(self, node: int, ttl_s: float) -> str | None:
        """The id of a query for a node's name."""
        return self._push([Message(RecordDict(), node, NAME_QUERY, ttl=ttl_s)])[0]

    def replies(self, letters: Sequence[str]) -> Iterator[Reply]:
        """The replies that are there, a few in memory at a time."""
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
                    "start the same command again: it goes on from the last saved round"
                ) from error
            time.sleep(self._pause_s * self._faults)
            return otherwise
        self._faults = 0
        return result


def _reply(message: Message) -> Reply:
    letter = message.metadata.reply_to_message_id
    if message.has_error():
        code = int(message.error.code)
        return Reply(letter, fault=_FAULTS.get(code, f"its node answered with error {code}"), passing=code in _PASSING)
    try:
        return Reply(letter, data=from_record(message.content))
    except ValueError:
        return Reply(letter, fault="its answer is no message of this protocol")


SERVER_APP = "server.server_app:app"
_BUNDLE = """[project]
name = "fedceus"
version = "1"
description = "Run settings of a fedceus study. This bundle carries no code: both sides run what they installed."
license = "Apache-2.0"

[tool.flwr.app]
publisher = "fedceus"

[tool.flwr.app.components]
serverapp = "{server_app}"
clientapp = "client.courier.client_app:app"

[tool.flwr.app.config]
plan = ""
out = ""
seed = 0
sites = 0
federation = "{federation}"
plan-digest = "{plan_digest}"
"""


def bundle(server_app: str = SERVER_APP, federation: str = "", plan_digest: str = "") -> bytes:
    """What Flower ships to every site: run settings and no code. The same bytes on every machine, so that a site's IT
    approves one digest, of this federation and this plan; the settings of a run travel beside it.
    """
    settings = _BUNDLE.format(server_app=server_app, federation=federation, plan_digest=plan_digest).encode()
    listing = f"pyproject.toml,{hashlib.sha256(settings).hexdigest()},{len(settings) * 8}".encode()
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as file:
        for name, content in (("pyproject.toml", settings), (".info/CONTENT", listing)):
            entry = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            entry.create_system = 3  # else the digest depends on the operating system
            file.writestr(entry, content)
    return archive.getvalue()


@dataclass(frozen=True)
class RunState:
    """A run, as the SuperLink sees it. details: why it failed, where it did."""

    started: bool
    finished: bool
    completed: bool
    details: str


class Control:
    """The SuperLink's control interface, a context manager. Every call ends within 30 s, or raises ExpectedError."""

    def __init__(self, superlink: str, root_certificates: bytes | None = None) -> None:
        """superlink: host:port. root_certificates: PEM; without, the connection is not encrypted (loopback only)."""
        self._superlink = superlink
        plain = root_certificates is None
        self._client = ControlHttpClient.from_server_address(superlink, plain, root_certificates, [])

    def __enter__(self) -> Control:
        """Itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connection."""
        self._client.close()

    def submit(self, config: RunConfig, fab: bytes | None = None) -> int:
        """Start a run with these settings; its id."""
        content = fab or bundle()
        request = StartRunRequest(
            fab=fab_to_proto(Fab(hashlib.sha256(content).hexdigest(), content, {})),
            override_config=user_config_to_proto(dict(config)),
        )
        return int(self._call(lambda: self._client.StartRun(request).run_id))

    def state(self, run: int) -> RunState:
        """How far a run is. One that the SuperLink does not know (its database was made anew) has failed."""
        try:
            listed = self._call(lambda: self._client.ListRuns(ListRunsRequest(run_id=run)).run_dict[run].status)
        except ExpectedError as error:
            if _is_unknown(error.__cause__):
                return RunState(True, True, False, "the SuperLink does not know the run: its database is another")
            raise
        completed = listed.sub_status == SubStatus.COMPLETED
        return RunState(
            listed.status != Status.PENDING, listed.status == Status.FINISHED, completed, str(listed.details)
        )

    def stop(self, run: int) -> None:
        """End a run."""
        self._call(lambda: self._client.StopRun(StopRunRequest(run_id=run)))

    def unfinished(self) -> list[int]:
        """The runs that are under way, or wait for it."""
        listed = self._call(lambda: self._client.ListRuns(ListRunsRequest()).run_dict)
        return sorted(int(run) for run, one in listed.items() if one.status.status != Status.FINISHED)

    def online(self) -> set[str]:
        """The sites whose node is connected."""
        listed = self._call(lambda: list(self._client.ListNodes(ListNodesRequest()).nodes_info))
        return {str(node.name) for node in listed if node.status == "online"}

    def keys(self) -> dict[bytes, int]:
        """Public key (PEM) → node, of all nodes that are registered."""
        listed = self._call(lambda: list(self._client.ListNodes(ListNodesRequest()).nodes_info))
        return {bytes(node.public_key): int(node.node_id) for node in listed if node.status != "unregistered"}

    def admit(self, public_key: bytes, site: str) -> None:
        """Let the node with this key (PEM) in. Flower never takes a key again that was dismissed."""
        self._call(lambda: self._client.RegisterNode(RegisterNodeRequest(public_key=public_key, name=site)))

    def dismiss(self, node: int) -> None:
        """Shut a node out for good."""
        self._call(lambda: self._client.UnregisterNode(UnregisterNodeRequest(node_id=node)))

    def _call(self, call: Callable[[], T]) -> T:
        try:
            return call()
        except Exception as error:
            raise ExpectedError(
                f"the SuperLink at {self._superlink} did not do as asked ({type(error).__name__}); read its log"
            ) from error


def _is_unknown(error: BaseException | None) -> bool:
    """Whether the SuperLink said that there is no such run."""
    response = getattr(error, "response", None)  # httpx.HTTPStatusError has one
    return getattr(response, "status_code", None) == HTTPStatus.NOT_FOUND
