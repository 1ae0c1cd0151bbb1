"""The same nets, to the last bit, from worker processes and from threads of any number of devices."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from toy_lesions import lesions, recipe, task

from ceus_models.plan.plan import load_plan
from ceus_models.plan.terms.settings import Screening
from ceus_models.protocol.messages import LocalRule, Task, Update
from ceus_models.protocol.state import State, digest
from client.worker.site.site import Site
from server.rounds.coordinator import run
from server.rounds.round import Call, Link, gather_answers
from server.rounds.saving.checkpoints import Store
from server.rounds.screening import Gate
from sim.engine.cluster.ray_link import RayLink
from sim.engine.cluster.site_node import DeviceUse
from sim.engine.device_link import DeviceLink
from sim.engine.inline_link import InlineLink
from sim.engine.memory_link import MemoryLink
from sim.engine.open_devices import open_devices
from sim.engine.sites import HospitalOpener
from tests.support.fake_cluster import FakeCluster
from tests.support.made_sites import held_by, made_site
from tests.support.open_policy import open_policy

SITES = {f"site-{number:02d}": float(3 + number) for number in range(3)}
PLAN = Path(__file__).parents[3] / "configs" / "plan.smoke.yaml"


@dataclass(frozen=True)
class ToySites:
    folder: Path

    def __call__(self, site: str) -> Site:
        number = int(site[-2:])
        held = lesions(3 + number, first=10 * number)
        return Site(site, held, "p1", open_policy(), self.folder / site)


def _summand(task: Task, update: Update) -> State:
    return update.sums


def _ask(link: Link) -> State:
    nets = ("disease/HCC", "biomarker/GPC3")
    asked = task("train", nets, recipe(), rule=LocalRule(batch_size=2, augment=True), cohorts=("training_a",))
    known = {site: {"training_a": int(count)} for site, count in SITES.items()}
    gate = Gate(asked, Screening(), known, {}, len(SITES))
    call = Call(asked, gate, tuple(SITES), _summand, dict, lambda site, fate, reason: None)
    total, record = gather_answers(link, call)
    assert record.counted == tuple(sorted(SITES))
    assert record.received > 1000, "bytes of what stays on a device are counted too"
    return total


def test_threads_of_devices_give_the_total_of_one_process(tmp_path: Path) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        expected = _ask(InlineLink(list(SITES), ToySites(tmp_path / "inline")))
    finally:
        torch.set_num_threads(before)
    for count in (1, 2):
        names = tuple(f"cpu:{number}" for number in range(count))
        with DeviceLink(SITES, ToySites(tmp_path / names[-1]), open_devices(names, print), print) as link:
            total = _ask(link)
        assert total.keys() == expected.keys()
        assert all(torch.equal(total[name], expected[name]) for name in total)


def test_nodes_with_devices_give_the_total_of_one_process_and_say_what_they_need(tmp_path: Path) -> None:
    expected, notes = _ask(InlineLink(list(SITES), ToySites(tmp_path / "inline"))), list[str]()
    use = DeviceUse(load_plan(PLAN), ("cpu:0", "cpu:1"))
    opener = ToySites(tmp_path / "nodes")
    with RayLink(SITES, opener, FakeCluster({"a": 2, "b": 2}), notes.append, use) as link:
        totals = [_ask(link) for _ in range(2)]
    assert all(torch.equal(total[name], expected[name]) for total in totals for name in expected)
    assert [note.split(" has ")[0] for note in notes] == ["cpu:0", "cpu:1"] * 2, "each device once"
    assert "Images of 3 lesions" in notes[0], "half of the sites' lesions, on two devices"


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_study_is_the_same_over_the_memory_link_and_over_devices(tmp_path: Path) -> None:
    plan = load_plan(PLAN)
    costs = {f"site-{center:02d}": 4.0 + center % 3 for center in (1, 2, 37, 38, 50, 51, 52)}
    found = {}
    for how in (1, 2, ("cpu:0",), ("cpu:0", "cpu:1")):
        folder = tmp_path / str(how)
        folders = {n: made_site(folder / n, int(n[-2:]), held_by(int(n[-2:]), 4), plan.processing) for n in costs}
        opener = HospitalOpener(folders, plan.processing)
        link = (
            MemoryLink(costs, opener, how)
            if isinstance(how, int)
            else DeviceLink(costs, opener, open_devices(how, print), print)
        )
        with link:
            end = run(plan, link, Store(folder), 1)
        found[how] = {net: digest(state) for net, state in end.nets.items()}
    assert len(found[1]) == 14
    assert all(nets == found[1] for nets in found.values())
