"""Real Ray nodes on this machine: the numbers of one process, also when a node is killed in a round."""

from __future__ import annotations

import importlib.util
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from ceus_models.plan.plan import Plan, load_plan
from ceus_models.protocol.state import digest
from ceus_models.runtime.errors import ExpectedError
from server.rounds.coordinator import run
from server.rounds.events import Event, Started
from server.rounds.saving.checkpoints import Store
from sim.engine.cluster.ray_cluster import RayCluster
from sim.engine.cluster.ray_link import RayLink
from sim.engine.cluster.site_node import DeviceUse, NodeFacts, SiteGroup
from sim.engine.memory_link import MemoryLink
from sim.engine.sites import HospitalOpener
from tests.support.made_sites import held_by, made_site

PLAN = Path(__file__).parents[4] / "configs" / "plan.smoke.yaml"
CENTERS = (1, 2, 3, 37, 38, 50, 51, 52)
MEMORY = 200 << 20
ENVIRONMENT = {"OMP_NUM_THREADS": "1"}
ray_nodes = pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="the extra ray is not installed")


def test_an_address_without_a_cluster_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sim.engine.cluster.ray_cluster._import_ray", lambda: None)
    with pytest.raises(ExpectedError, match="nobody answers"):
        RayCluster("127.0.0.1:1")
    with pytest.raises(ExpectedError, match="expected auto or HOST:PORT"):
        RayCluster("ray://127.0.0.1:10001")


def test_a_machine_without_ray_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Any:
        raise ModuleNotFoundError(f"No module named {name}", name=name)

    monkeypatch.setattr("importlib.import_module", missing)
    with pytest.raises(ExpectedError, match=r"pip install 'fedceus\[ray\]'"):
        RayCluster(None)


class _Actor:
    """An actor that describes itself at once."""

    def __init__(self, node: str, options: Mapping[str, Any], arguments: tuple[Any, ...]) -> None:
        self.node, self.options, self.arguments = node, options, arguments
        self.describe = self.close = SimpleNamespace(remote=lambda: self)


class _Ray:
    """As much of Ray as starts actors, on nodes with these resources."""

    def __init__(self, nodes: Mapping[str, Mapping[str, float]]) -> None:
        self.held, self.actors = nodes, dict[str, _Actor]()
        self.util = SimpleNamespace(
            scheduling_strategies=SimpleNamespace(NodeAffinitySchedulingStrategy=lambda node, soft: node)
        )
        self.exceptions = SimpleNamespace(RayTaskError=KeyError, RayError=OSError)

    def init(self, **_: Any) -> None:
        pass

    def nodes(self) -> list[dict[str, Any]]:
        return [
            {"NodeID": name, "Alive": True, "Resources": has, "NodeManagerHostname": name}
            for name, has in self.held.items()
        ]

    def remote(self, _: type) -> Any:
        def options(**given: Any) -> Any:
            def start(*arguments: Any) -> _Actor:
                node = given["scheduling_strategy"]
                self.actors[node] = _Actor(node, given, arguments)
                return self.actors[node]

            return SimpleNamespace(remote=start)

        return SimpleNamespace(options=options)

    def wait(self, calls: list[_Actor], **_: Any) -> tuple[list[_Actor], list[_Actor]]:
        return calls, []

    def get(self, actor: _Actor) -> NodeFacts:
        return NodeFacts(actor.arguments[1], True, {})

    def kill(self, _: _Actor) -> None:
        pass

    def shutdown(self) -> None:
        pass


def _start_nodes(
    monkeypatch: pytest.MonkeyPatch, nodes: Mapping[str, Mapping[str, float]], use: DeviceUse | None
) -> tuple[_Ray, Mapping[str, NodeFacts]]:
    ray = _Ray(nodes)
    monkeypatch.setattr("sim.engine.cluster.ray_cluster._import_ray", lambda: ray)
    cluster = RayCluster("auto")
    found = cluster.nodes(SiteGroup({}, pytest.fail, devices=use))
    cluster.close()
    return ray, found


def test_cards_are_taken_of_ray_where_it_knows_of_some(monkeypatch: pytest.MonkeyPatch) -> None:
    nodes = {"head": {"CPU": 8.0}, "box": {"CPU": 16.0, "GPU": 2.0}}
    use = DeviceUse(load_plan(PLAN))
    ray, found = _start_nodes(monkeypatch, nodes, use)
    assert {name: facts.slots for name, facts in found.items()} == {"box": 2}, "a node without a card waits"
    assert (ray.actors["box"].options["num_gpus"], ray.actors["box"].options["num_cpus"]) == (2, 2)
    assert ray.actors["box"].arguments[1:] == (2, ("cuda:0", "cuda:1"), 1)

    ray, found = _start_nodes(monkeypatch, nodes, None)
    assert {name: facts.slots for name, facts in found.items()} == {"head": 8, "box": 16}
    assert all(actor.options["num_gpus"] == 0 for actor in ray.actors.values()), "cards stay free for others"

    ray, found = _start_nodes(monkeypatch, nodes, replace(use, names=("cpu:0", "cpu:1")))
    assert {name: facts.slots for name, facts in found.items()} == {"head": 2, "box": 2}
    assert ray.actors["head"].arguments[1:] == (2, ("cpu:0", "cpu:1"), 2)


def test_a_cluster_without_cards_is_an_error_where_they_are_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ExpectedError, match="expected a node with a graphics card.*--num-gpus, or leave --devices out"):
        _start_nodes(monkeypatch, {"head": {"CPU": 8.0}}, DeviceUse(load_plan(PLAN)))


@pytest.fixture
def three_nodes() -> Iterator[Any]:
    """A Ray cluster of three nodes with a processor each, as processes of this machine."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    from ray.cluster_utils import Cluster

    head = {"num_cpus": 1, "object_store_memory": MEMORY, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    try:
        for _ in range(2):
            cluster.add_node(num_cpus=1, object_store_memory=MEMORY)
        yield cluster
    finally:
        cluster.shutdown()


def _make_study(plan: Plan, folder: Path) -> tuple[HospitalOpener, dict[str, float]]:
    """Hospitals of this run alone, as sites remember what they answered."""
    held = {f"site-{center:02d}": held_by(center, 4) for center in CENTERS}
    folders = {
        name: made_site(folder / "hospitals" / name, int(name[-2:]), lesions, plan.processing)
        for name, lesions in held.items()
    }
    return HospitalOpener(folders, plan.processing), {name: float(sum(held[name].values())) for name in held}


def _walk(plan: Plan, link: Any, folder: Path, on_event: Callable[[Event], None] | None = None) -> Mapping[str, str]:
    progress = run(plan, link, Store(folder), 1, on_event)
    assert not any(record.lost or record.excluded for record in progress.participation)
    return {net: digest(state) for net, state in progress.nets.items()}


@ray_nodes
@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_three_nodes_give_the_numbers_of_one_process_and_of_two_also_when_one_is_killed(
    tmp_path: Path, three_nodes: Any
) -> None:
    plan, found = load_plan(PLAN), dict[str, Mapping[str, str]]()
    for name, workers in (("one", 1), ("two", 2)):
        opener, costs = _make_study(plan, tmp_path / name)
        with MemoryLink(costs, opener, workers) as link:
            found[name] = _walk(plan, link, tmp_path / name)
    for name in ("calm", "devices", "killed"):
        opener, costs = _make_study(plan, tmp_path / name)
        kill = _killer(next(iter(three_nodes.worker_nodes))) if name == "killed" else None
        use = DeviceUse(plan, ("cpu:0", "cpu:1")) if name == "devices" else None
        cluster, notes = RayCluster(three_nodes.address, None, ENVIRONMENT), list[str]()
        with RayLink(costs, opener, cluster, notes.append, use) as nodes:
            found[name] = _walk(plan, nodes, tmp_path / name, kill)
        assert len(notes) == {"calm": 0, "devices": 6, "killed": 1}[name], notes
    assert found["one"]
    assert found == dict.fromkeys(found, found["one"])


def _killer(node: Any) -> Callable[[Event], None]:
    """Kills the node's raylet and all that it started, shortly after the second training round has begun."""

    def on_event(event: Event) -> None:
        if isinstance(event, Started) and event.kind == "train" and event.step == 2:
            threading.Thread(target=kill, daemon=True).start()

    def kill() -> None:
        time.sleep(0.3)
        raylet = psutil.Process(node.all_processes["raylet"][0].process.pid)
        for process in (*raylet.children(recursive=True), raylet):
            if process.is_running():
                os.kill(process.pid, signal.SIGKILL)

    return on_event
