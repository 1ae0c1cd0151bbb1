"""The link over the nodes of a cluster: each node gets the task once, and sends back one partial round.

What travels a round is one task and one sum a node, however many sites there are. Sites stay on their node between
rounds. When a node dies, its sites move to other nodes and are asked again in the same round; what a site remembers is
on disk, so on a shared file system the numbers are those of a run without the death.
"""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Protocol

from ceus_models.protocol.encoding import decode, to_bytes
from ceus_models.protocol.messages import Refusal, Task, Update
from ceus_models.runtime.errors import ExpectedError
from server.rounds.round import Adder, Answer, Lost, PartialRound
from sim.engine.cluster.placement import place_sites
from sim.engine.cluster.site_archive import FolderMark, pack_site
from sim.engine.cluster.site_node import DeviceUse, NodeFacts, NodeReply, SiteGroup, list_versions, pack_bytes
from sim.engine.sites import HospitalOpener
from sim.engine.worker import SiteOpener

_MOST_DEATHS = 3
"""A site whose node died so often in a round is lost in that round."""
_ASKED_AT_ONCE = 2
"""Answers that travel one by one: so many a worker process are in a node's memory."""


class NodeLost(NamedTuple):
    """A node that died with what it was doing, and how that was noticed."""

    reason: str


class Cluster(Protocol):
    """Machines that each run a `SiteNode`."""

    def nodes(self, group: SiteGroup) -> Mapping[str, NodeFacts]:
        """The nodes that live now, each with its `SiteNode`, which is started where it is missing."""

    def share(self, value: Any) -> Any:
        """Store a value that nodes take from the nearest copy; the result stands for it as an argument of `call`."""

    def call(self, node: str, method: str, *arguments: Any) -> Any:
        """Begin a method of a node's `SiteNode`, dead or alive; the result stands for what it will return."""

    def wait(self, calls: Sequence[Any]) -> tuple[Any, Any]:
        """The first of `calls` that is done, and what it returned, or NodeLost."""

    def close(self) -> None:
        """Leave the cluster."""


@dataclass(frozen=True)
class _Batch:
    node: str
    sites: Sequence[str]
    later: Sequence[Sequence[str]]


class RayLink:
    """Sites on the nodes of a cluster. Use as a context manager, or call `close`."""

    def __init__(
        self,
        costs: Mapping[str, float],
        opener: SiteOpener,
        cluster: Cluster,
        tell: Callable[[str], None] = lambda _: None,
        devices: DeviceUse | None = None,
    ) -> None:
        """Start the nodes.

        Args:
            costs: lesions of every site.
            opener: opens a site; importable on every node.
            tell: called with a sentence when hospitals are sent to a node, a node is lost, or about its devices.
            devices: that answer on the nodes in place of worker processes, if any.
        """
        hospitals = opener.folders if isinstance(opener, HospitalOpener) else {}
        self._mark = FolderMark(hospitals, f".seen-{uuid.uuid4().hex}")
        self._hospitals, self._costs = hospitals, dict(costs)
        self._group = SiteGroup(self._costs, opener, self._mark.paths, devices)
        self._cluster, self._tell = cluster, tell
        self._homes: dict[str, str] = {}
        self._sent: set[tuple[str, str]] = set()
        self._nodes: Mapping[str, NodeFacts] = {}
        try:
            self._nodes = self._find_nodes()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> RayLink:
        """The link itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the cluster."""
        self.close()

    def close(self) -> None:
        """Leave the cluster."""
        self._mark.remove()
        self._cluster.close()

    def sites(self) -> list[str]:
        """All sites, in order."""
        return sorted(self._costs)

    def gather(self, task: Task, sites: Sequence[str], adder: Adder) -> Iterator[PartialRound]:
        """One part of the round from each node, as they finish, and one of sites that nobody could answer for."""
        own = adder.gate.task
        asked = self._cluster.share(pack_bytes(to_bytes(task)))
        screened = None if own is task else self._cluster.share(pack_bytes(to_bytes(own)))
        lost = PartialRound()

        def begin(batch: _Batch) -> Any:
            held = {site: adder.gate.lesions[site] for site in batch.sites if site in adder.gate.lesions}
            gate = replace(adder.gate, task=replace(own, inputs={}), lesions=held)
            return self._cluster.call(batch.node, "gather", asked, screened, replace(adder, gate=gate), batch.sites)

        for found in self._call_nodes(begin, sites, task):
            if isinstance(found, Lost):
                lost.take(found.site, found, adder)
            else:
                yield found
        if lost.fates:
            yield lost

    def ask(self, task: Task, sites: Sequence[str]) -> Iterator[tuple[str, Answer]]:
        """The answers one by one, for sums that only the coordinator can open."""
        asked = self._cluster.share(pack_bytes(to_bytes(task)))

        def begin(batch: _Batch) -> Any:
            return self._cluster.call(batch.node, "ask", asked, batch.sites)

        for found in self._call_nodes(begin, sites, task, _ASKED_AT_ONCE):
            for site, content in [(found.site, found)] if isinstance(found, Lost) else found:
                answer = content if isinstance(content, Lost) else decode(content.data)
                yield site, answer if isinstance(answer, Update | Refusal | Lost) else Lost(site, "not an answer")

    def _call_nodes(
        self, begin: Callable[[_Batch], Any], sites: Sequence[str], task: Task, at_once: int | None = None
    ) -> Iterator[Any]:
        """Place the sites and call their nodes; yield what the calls return, and Lost for sites that lose every node.

        at_once: sites of one call for each worker process; all of a node's in one call without it.
        """
        waiting, calls = list(sites), dict[Any, _Batch]()
        dead, deaths = set[str](), Counter[str]()
        while waiting or calls:
            for batch in self._place(waiting, task, dead, at_once) if waiting else ():
                calls[begin(batch)] = batch
            waiting = []
            done, found = self._cluster.wait(list(calls))
            batch = calls.pop(done)
            if isinstance(found, NodeLost):
                again = [*batch.sites, *(site for part in batch.later for site in part)]
                deaths.update(batch.sites)
                yield from (Lost(site, found.reason) for site in again if deaths[site] >= _MOST_DEATHS)
                waiting = [site for site in again if deaths[site] < _MOST_DEATHS]
                dead.add(batch.node)
                self._sent = {(node, site) for node, site in self._sent if node != batch.node}
                self._tell(f"a node is lost; {len(again)} of its sites are asked elsewhere ({found.reason})")
                continue
            if batch.later:
                following = _Batch(batch.node, batch.later[0], batch.later[1:])
                calls[begin(following)] = following
            reply: NodeReply = found
            for note in reply.notes:
                self._tell(note)
            yield reply.found

    def _place(self, sites: Sequence[str], task: Task, dead: set[str], at_once: int | None) -> Iterator[_Batch]:
        """The sites of each node that lives, which has their hospitals then. dead: lost in this round."""
        self._nodes = self._find_nodes()
        usable = {node: facts for node, facts in self._nodes.items() if node not in dead} or self._nodes
        slots = {node: facts.slots for node, facts in usable.items()}
        alone = not all(facts.sees_folders for facts in usable.values())  # what a site remembers is on one disk
        placed = place_sites(sites, self._costs, self._homes, slots, fixed=alone or task.session is not None)
        for node, chosen in placed.items():
            self._homes |= dict.fromkeys(chosen, node)
            if self._hospitals and not usable[node].sees_folders:
                self._send_hospitals(node, [site for site in chosen if (node, site) not in self._sent])
            size = len(chosen) if at_once is None else at_once * slots[node]
            parts = [chosen[at : at + size] for at in range(0, len(chosen), size)]
            yield _Batch(node, parts[0], parts[1:])

    def _find_nodes(self) -> Mapping[str, NodeFacts]:
        nodes = self._cluster.nodes(self._group)
        if not nodes:
            raise ExpectedError(
                "expected a node that lives in the Ray cluster, found none; start one and run the same command again: "
                "it continues from the last saved round"
            )
        here = list_versions()
        for facts in nodes.values():
            if facts.versions != here:
                raise ExpectedError(
                    f"expected on every node the versions of this machine ({here}), found {dict(facts.versions)}; "
                    "install the same there"
                )
        for note in (note for node in nodes.keys() - self._nodes.keys() for note in nodes[node].notes):
            self._tell(note)
        return nodes

    def _send_hospitals(self, node: str, sites: Sequence[str]) -> None:
        """Send hospitals to a node that does not see them. A node that dies meanwhile is noticed by the next call."""
        if not sites:
            return
        self._tell(f"{len(sites)} hospitals are sent to a node that does not see their folders")
        for site in sites:
            archive = self._cluster.share(pack_bytes(pack_site(self._hospitals[site])))
            _, lost = self._cluster.wait([self._cluster.call(node, "receive", site, archive)])
            if isinstance(lost, NodeLost):
                return
            self._sent.add((node, site))
