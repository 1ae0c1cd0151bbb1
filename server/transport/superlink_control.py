"""The SuperLink's control interface: start, watch and stop runs, register and unregister nodes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import TypeVar

from flwr.common.constant import Status, SubStatus
from flwr.common.serde import fab_to_proto, user_config_to_proto
from flwr.proto.control_pb2 import (
    ListNodesRequest,
    ListRunsRequest,
    RegisterNodeRequest,
    StartRunRequest,
    StopRunRequest,
    UnregisterNodeRequest,
)
from flwr.supercore.control import ControlHttpClient
from flwr.supercore.fab import Fab

from ceus_models.runtime.errors import ExpectedError
from server.transport.fab import build_fab

RunConfig = Mapping[str, str | int | float]
T = TypeVar("T")


@dataclass(frozen=True)
class RunState:
    """The state of a run at the SuperLink. details: the cause of a failure."""

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
        content = fab or build_fab()
        request = StartRunRequest(
            fab=fab_to_proto(Fab(hashlib.sha256(content).hexdigest(), content, {})),
            override_config=user_config_to_proto(dict(config)),
        )
        return int(self._call(lambda: self._client.StartRun(request).run_id))

    def state(self, run: int) -> RunState:
        """The state of a run. A run that the SuperLink does not know (its database is new) has failed."""
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

    def list_unfinished(self) -> dict[int, str]:
        """The runs that are pending or running → their setting `out`, the folder of the run."""
        listed = self._call(lambda: self._client.ListRuns(ListRunsRequest()).run_dict)
        return {
            int(run): str(one.override_config["out"].string) if "out" in one.override_config else ""
            for run, one in sorted(listed.items())
            if one.status.status != Status.FINISHED
        }

    def online(self) -> set[str]:
        """The sites whose node is connected."""
        listed = self._call(lambda: list(self._client.ListNodes(ListNodesRequest()).nodes_info))
        return {str(node.name) for node in listed if node.status == "online"}

    def keys(self) -> dict[bytes, int]:
        """Public key (PEM) → node, of all nodes that are registered."""
        listed = self._call(lambda: list(self._client.ListNodes(ListNodesRequest()).nodes_info))
        return {bytes(node.public_key): int(node.node_id) for node in listed if node.status != "unregistered"}

    def admit(self, public_key: bytes, site: str) -> None:
        """Register the node with this key (PEM). Flower never accepts an unregistered key again."""
        self._call(lambda: self._client.RegisterNode(RegisterNodeRequest(public_key=public_key, name=site)))

    def dismiss(self, node: int) -> None:
        """Unregister a node permanently."""
        self._call(lambda: self._client.UnregisterNode(UnregisterNodeRequest(node_id=node)))

    def _call(self, call: Callable[[], T]) -> T:
        try:
            return call()
        except Exception as error:
            raise ExpectedError(
                f"the SuperLink at {self._superlink} failed on a request ({type(error).__name__}); read its log"
            ) from error


def _is_unknown(error: BaseException | None) -> bool:
    """Whether the SuperLink answered that the run does not exist."""
    response = getattr(error, "response", None)  # httpx.HTTPStatusError has one
    return getattr(response, "status_code", None) == HTTPStatus.NOT_FOUND
