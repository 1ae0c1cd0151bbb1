"""A Ray cluster as the nodes of a simulation: one actor a node, which takes the node's processors or its cards.

The cluster is an existing one, which this machine belongs to, or is started on this machine alone and ends with the
run. Ray's usage statistics and dashboard stay off.
"""

from __future__ import annotations

import importlib
import os
import socket
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from ceus_models.runtime.errors import ExpectedError
from sim.engine.cluster.ray_link import NodeLost
from sim.engine.cluster.site_node import NodeFacts, SiteGroup, SiteNode

_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # Ray 2.55 warns of this change otherwise
}
_CONNECT_S = 10.0
_START_S = 900.0
"""For an actor to be placed and to import torch, from a network's file system or on a busy machine."""


@dataclass(frozen=True)
class _Room:
    """What Ray knows of a node."""

    processors: int
    cards: int


@dataclass(frozen=True, eq=False)
class _Unanswered:
    """A call to a node that had died."""

    node: str


class RayCluster:
    """The living nodes of a Ray cluster, each with a `SiteNode` as an actor."""

    def __init__(
        self, address: str | None, workers: int | None = None, variables: Mapping[str, str] | None = None
    ) -> None:
        """Connect, or start Ray on this machine without an address.

        Args:
            address: "auto" for the cluster of this machine, or HOST:PORT.
            workers: processors to take on each node at most; all without it.
            variables: environment of the actors, read when their libraries are loaded.

        Raises:
            ExpectedError: Ray is not installed, or there is no cluster at the address.
        """
        os.environ.update(_QUIET)
        self._ray = _import_ray()
        self._workers, self._variables = workers, dict(variables or {})
        self._actors: dict[str, Any] = {}
        self._facts: dict[str, NodeFacts] = {}
        self._nodes_of: dict[Any, str] = {}
        own = {"num_cpus": workers, "include_dashboard": False} if address is None else {}
        if address not in (None, "auto"):
            _check_address(str(address))
        try:
            self._ray.init(address=address or "local", log_to_driver=False, logging_level="ERROR", **own)
        except (ConnectionError, RuntimeError, ValueError) as error:
            raise ExpectedError(
                f"expected a Ray cluster at {address or 'this machine'}, found none ({_last_line(error)}); start it "
                "with `ray start --head`, or leave --ray-address out for one on this machine"
            ) from None

    def nodes(self, group: SiteGroup) -> Mapping[str, NodeFacts]:
        """The nodes that live and have processors; an actor that died on one of them is started again.

        Raises:
            ExpectedError: a node does not start, or cards are wanted and no living node has one.
        """
        alive = self._alive()
        if group.devices and not group.devices.names:
            alive = {node: room for node, room in alive.items() if room.cards}
            if not alive:
                raise ExpectedError(
                    "expected a node with a graphics card in the Ray cluster, found none; start Ray there with "
                    "--num-gpus, or leave --devices out to train on processors"
                )
        for lost in self._actors.keys() - alive.keys():
            self._forget(lost)
        begun = {}
        for node in alive.keys() - self._actors.keys():
            self._actors[node] = self._start(node, group, alive[node], len(alive))
            begun[node] = self.call(node, "describe")
        self._wait_until_ready(begun)
        return {node: self._facts[node] for node in sorted(self._facts)}

    def share(self, value: Any) -> Any:
        """Put a value into Ray's object store, which copies it to each machine once."""
        return self._ray.put(value)

    def call(self, node: str, method: str, *arguments: Any) -> Any:
        """Begin a method of the node's actor."""
        if node not in self._actors:
            return _Unanswered(node)
        begun = getattr(self._actors[node], method).remote(*arguments)
        self._nodes_of[begun] = node
        return begun

    def wait(self, calls: Sequence[Any]) -> tuple[Any, Any]:
        """The first call that is done, and its result. A node that died is forgotten."""
        for call in calls:
            if isinstance(call, _Unanswered):
                return call, NodeLost(f"{self._name(call.node)} has died")
        (done, *_), _ = self._ray.wait(calls, num_returns=1)
        return done, self._get(done)

    def close(self) -> None:
        """End the actors, and Ray where it was started here."""
        endings = [self.call(node, "close") for node in self._actors]
        with suppress(Exception):  # a node may be dying, or be in a round that was left early
            self._ray.wait(endings, num_returns=max(1, len(endings)), timeout=5.0)
        for node in list(self._actors):
            self._forget(node)
        self._ray.shutdown()

    def _alive(self) -> dict[str, _Room]:
        """The nodes that live and have processors."""
        alive = {node["NodeID"]: node["Resources"] for node in self._ray.nodes() if node["Alive"]}
        rooms = {node: _Room(int(has.get("CPU", 0)), int(has.get("GPU", 0))) for node, has in alive.items()}
        return {node: room for node, room in rooms.items() if room.processors}

    def _start(self, node: str, group: SiteGroup, room: _Room, nodes: int) -> Any:
        """The node's actor, which takes its cards where devices are wanted by Ray, and its processors otherwise.

        Ray lets an actor see the cards that it gave, numbered from 0.
        """
        slots, cards, devices = min(room.processors, self._workers or room.processors), 0, tuple[str, ...]()
        if group.devices:
            cards = 0 if group.devices.names else room.cards
            devices = group.devices.names or tuple(f"cuda:{number}" for number in range(cards))
            slots = len(devices)
        here = self._ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(node, soft=False)
        actor = self._ray.remote(SiteNode).options(
            num_cpus=min(slots, room.processors),
            num_gpus=cards,
            scheduling_strategy=here,
            runtime_env={"env_vars": self._variables},
        )
        return actor.remote(group, slots, devices, nodes)

    def _wait_until_ready(self, begun: Mapping[str, Any]) -> None:
        """Note what new nodes say of themselves. Raises ExpectedError where one is not ready in time."""
        if not begun:
            return
        ready, _ = self._ray.wait(list(begun.values()), num_returns=len(begun), timeout=_START_S)
        for node, call in begun.items():
            if call not in ready:
                raise ExpectedError(
                    f"expected a node to give its processors within {_START_S:.0f} s, {self._name(node)} did not: "
                    "other work holds them, or fedceus is not installed there; end that, or take fewer with --workers"
                )
            found = self._get(call)
            if not isinstance(found, NodeLost):
                self._facts[node] = found
            elif node in self._alive():
                raise ExpectedError(f"expected sites on every node, they cannot start there ({found.reason})")

    def _get(self, done: Any) -> Any:
        node = self._nodes_of.pop(done, "")
        try:
            return self._ray.get(done)
        except self._ray.exceptions.RayTaskError as error:
            raise error.cause if isinstance(error.cause, ExpectedError) else error from None
        except self._ray.exceptions.RayError as error:
            name = self._name(node)
            self._forget(node)
            return NodeLost(f"{name}: {_last_line(error)}")

    def _forget(self, node: str) -> None:
        """End the node's actor, if it has one."""
        self._facts.pop(node, None)
        actor = self._actors.pop(node, None)
        if actor is not None:
            with suppress(Exception):  # it has died
                self._ray.kill(actor)

    def _name(self, node: str) -> str:
        names = {entry["NodeID"]: entry["NodeManagerHostname"] for entry in self._ray.nodes()}
        return f"node {names.get(node, node[:8])}"


def _import_ray() -> Any:
    try:
        ray = importlib.import_module("ray")
        importlib.import_module("ray.util.scheduling_strategies")
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "ray":
            raise
        raise ExpectedError(
            "expected Ray for --link ray, it is not installed; run: pip install 'fedceus[ray]'"
        ) from None
    return ray


def _check_address(address: str) -> None:
    """Raises ExpectedError where nobody listens; Ray itself waits for minutes."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or "/" in host:
        raise ExpectedError(
            f"expected auto or HOST:PORT as Ray's address, found {address}; run this on a node of the cluster"
        )
    try:
        socket.create_connection((host, int(port)), timeout=_CONNECT_S).close()
    except OSError as error:
        raise ExpectedError(
            f"expected a Ray cluster at {address}, nobody answers ({error.strerror or error}); "
            "start it with `ray start --head`, or correct the address"
        ) from None


def _last_line(error: BaseException) -> str:
    """Where Ray names the cause."""
    return (str(error).strip().splitlines() or [type(error).__name__])[-1].strip()
