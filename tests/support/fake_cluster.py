"""A cluster whose nodes are objects of this process; a node can be made to die with a call in flight."""

from __future__ import annotations

import itertools
import pickle
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sim.engine.cluster.ray_link import NodeLost
from sim.engine.cluster.site_node import NodeFacts, SiteGroup, SiteNode


@dataclass
class FakeCluster:
    """Nodes that live by name, with their worker processes.

    Args:
        dies: node → method during which it dies, for good.
        sees_folders: whether nodes share the driver's file system.
        calls: how often each method of each node was called.
        sent: bytes of arguments and results that crossed between driver and nodes.
    """

    slots: dict[str, int]
    dies: dict[str, str] = field(default_factory=dict)
    sees_folders: bool = True
    calls: Counter[tuple[str, str]] = field(default_factory=Counter)
    sent: int = 0
    closed: bool = False
    _nodes: dict[str, SiteNode] = field(default_factory=dict)
    _numbers: itertools.count[int] = field(default_factory=itertools.count)
    _begun: dict[int, tuple[str, str, tuple[Any, ...]]] = field(default_factory=dict)

    def nodes(self, group: SiteGroup) -> Mapping[str, NodeFacts]:
        if not self.sees_folders:
            group = replace(group, marks=tuple(mark.with_name("nowhere") for mark in group.marks))
        for name in self.slots.keys() - self._nodes.keys():
            self._nodes[name] = SiteNode(
                group, self.slots[name], group.devices.names if group.devices else (), len(self.slots)
            )
        return {name: self._nodes[name].describe() for name in sorted(self.slots)}

    def share(self, value: Any) -> Any:
        return value

    def call(self, node: str, method: str, *arguments: Any) -> int:
        self.calls[node, method] += 1
        number = next(self._numbers)
        self._begun[number] = node, method, arguments
        return number

    def wait(self, calls: Sequence[int]) -> tuple[int, Any]:
        node, method, arguments = self._begun.pop(calls[-1])
        if node not in self.slots or self.dies.get(node) == method:
            if node in self._nodes:
                self._nodes.pop(node).close()
                del self.slots[node]
            return calls[-1], NodeLost(f"{node} was unplugged")
        content = pickle.dumps(getattr(self._nodes[node], method)(*pickle.loads(pickle.dumps(arguments))))
        self.sent += len(content)
        return calls[-1], pickle.loads(content)

    def close(self) -> None:
        self.closed = True
        for node in self._nodes.values():
            node.close()
