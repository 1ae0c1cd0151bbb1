"""The device link: balanced work and the same numbers on any devices; one that fails loses nobody if another lives."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
import torch
from toy_lesions import lesions

from ceus_models.plan.terms.settings import Screening
from ceus_models.protocol.message_ids import ReceivedTask
from ceus_models.protocol.messages import LocalRule, Refusal, Task, Update
from ceus_models.protocol.state import State
from ceus_models.protocol.task_id import compute_task_id
from ceus_models.runtime.errors import ExpectedError
from ceus_models.study.sample import Sample
from client.worker.tasks.devices.compute_device import ComputeDevice, DeviceError
from client.worker.tasks.devices.resident_lesions import ResidentLesions
from server.rounds.round import AddingLink, Call, gather_answers
from server.rounds.screening import Gate
from sim.engine.device_link import DeviceLink

NET = "disease/HCC"
SITES = {f"site-{number:02d}": float(cost) for number, cost in enumerate((3, 1, 20, 7, 7, 12, 2), 1)}
TASK = Task(
    "train", "study", 1, "submodels", 0, nets=(NET,), cohorts=("training_a",), inputs={f"{NET}|w": torch.ones(5)},
    rule=LocalRule(),
)  # fmt: skip


@dataclass(eq=False)
class FakeDevice(ComputeDevice):
    """A device that stops to compute with its `fails_at`th answer, or has no memory for the sites in `small_for`."""

    fails_at: int = 0
    small_for: Sequence[str] = ()
    answered: list[str] = field(default_factory=list)
    barrier: threading.Barrier | None = None

    def responds(self) -> bool:
        return not self.fails_at or len(self.answered) < self.fails_at


@dataclass
class FakeSite:
    name: str
    samples: Sequence[Sample] = field(default_factory=lambda: lesions(2))

    def handle_at(self, received: ReceivedTask, compute: ComputeDevice) -> Update | Refusal:
        assert isinstance(compute, FakeDevice)
        assert compute.lesions is not None
        assert not torch.is_inference_mode_enabled()
        if compute.barrier:
            compute.barrier.wait(20)
        compute.answered.append(self.name)
        if not compute.responds():
            raise DeviceError(f"{compute.name}: AcceleratorError")
        if self.name in compute.small_for:
            raise DeviceError(f"{compute.name}: OutOfMemoryError")
        if self.name == "site-05":
            return Refusal(self.name, "closed on Mondays", "policy")
        compute.lesions.stack(self.samples, compute.device)
        change = torch.randn(5, generator=torch.Generator().manual_seed(int(self.name[-2:])))
        notes = {f"{NET}|#{name}": torch.tensor(2.0, dtype=torch.float64) for name in ("weight", "loss")}
        return Update(self.name, {f"{NET}|w": change * 0.01} | notes, 2.0, task=compute_task_id(received.task))


def devices(count: int, **odd: object) -> list[FakeDevice]:
    """So many devices; the first is as `odd` says."""
    return [
        FakeDevice(
            name=f"cpu:{number}", lesions=ResidentLesions(torch.device("cpu"), print), **(odd if not number else {})
        )
        for number in range(count)
    ]


def _summand(task: Task, update: Update) -> State:
    return update.sums


def gather(
    used: Sequence[FakeDevice], rounds: int = 1
) -> tuple[State, dict[str, tuple[str, str]], list[str], DeviceLink]:
    """The total of the last round, each site's outcome, and what was said."""
    said: list[str] = []
    outcomes: dict[str, tuple[str, str]] = {}
    with DeviceLink(SITES, FakeSite, used, said.append) as link:
        assert isinstance(link, AddingLink)
        for _ in range(rounds):
            outcomes.clear()
            gate = Gate(TASK, Screening(), {site: {"training_a": 9} for site in SITES}, {}, len(SITES))
            tell = lambda site, fate, reason: outcomes.__setitem__(site, (fate, reason))  # noqa: E731
            total, record = gather_answers(link, Call(TASK, gate, tuple(SITES), _summand, dict, tell))
            assert len(record.counted) + len(record.refused) + len(record.lost) == len(SITES)
    return total, outcomes, said, link


def same(a: State, b: State) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_work_is_dealt_largest_first_to_the_device_with_least() -> None:
    link = DeviceLink(SITES, FakeSite, devices(2), print)
    homes = link.list_homes()
    loads = {name: sum(SITES[site] for site, home in homes.items() if home == name) for name in ("cpu:0", "cpu:1")}
    assert loads == {"cpu:0": 26.0, "cpu:1": 26.0}
    assert homes["site-03"] != homes["site-06"], "the two largest are at different devices"
    link.close()


def test_each_device_begins_with_its_largest_site_and_both_work_at_once() -> None:
    used = devices(2)
    for device in used:
        device.barrier = threading.Barrier(2) if device is used[0] else used[0].barrier
    with DeviceLink({"site-01": 1.0, "site-02": 8.0, "site-03": 9.0, "site-04": 2.0}, FakeSite, used, print) as link:
        assert len(dict(link.ask(TASK, link.sites()))) == 4  # the barrier passes only if both are in a site at once
    assert [device.answered[0] for device in used] == ["site-03", "site-02"]


def test_any_number_of_devices_gives_the_same_total() -> None:
    one, outcomes, _, _ = gather(devices(1))
    assert outcomes["site-05"] == ("refused", "closed on Mondays")
    assert sum(fate == "counted" for fate, _ in outcomes.values()) == 6
    for count in (2, 3):
        other, found, said, _ = gather(devices(count), rounds=2)
        assert same(one, other)
        assert found == outcomes
        assert not said


def test_sites_stay_with_their_device_and_so_do_their_images() -> None:
    used = devices(2)
    gather(used, rounds=3)
    for device in used:
        assert device.lesions is not None
        held = sum(1 for other in used for site in set(other.answered) if other is device and site != "site-05")
        assert held
    total = sum(device.lesions.used_bytes for device in used if device.lesions)
    assert total == 6 * sum(s.frames.nbytes + s.flow.nbytes for s in lesions(2)), "no lesion is on two devices"


@pytest.mark.parametrize("fails_at", [1, 2, 3])
def test_a_device_that_fails_is_named_and_its_sites_move(fails_at: int) -> None:
    expected, outcomes, _, _ = gather(devices(1))
    used = devices(2, fails_at=fails_at)
    total, found, said, link = gather(used, rounds=2)
    assert same(total, expected)
    assert found == outcomes
    assert len(said) == 1
    assert "cpu:0" in said[0]
    assert "failed" in said[0]
    assert set(link.list_homes().values()) == {"cpu:1"}
    assert len(used[0].answered) == fails_at, "it is not asked again"


def test_a_site_too_large_for_one_device_moves_once_and_that_device_goes_on() -> None:
    expected, outcomes, _, _ = gather(devices(1))
    used = devices(2, small_for=("site-03",))
    total, found, said, _ = gather(used)
    assert same(total, expected)
    assert found == outcomes
    assert not said
    assert len(used[0].answered) > 1


def test_a_site_too_large_for_all_is_lost_by_name() -> None:
    used = devices(2)
    for device in used:
        device.small_for = ("site-03",)
    _, found, _, _ = gather(used)
    fate, reason = found["site-03"]
    assert fate == "lost"
    assert "cpu:0: OutOfMemoryError" in reason
    assert "cpu:1: OutOfMemoryError" in reason
    assert sum(fate == "counted" for fate, _ in found.values()) == 5


def test_the_run_ends_with_the_last_device() -> None:
    used = devices(2, fails_at=2)
    used[1].fails_at = 3
    with pytest.raises(ExpectedError, match=r"all have failed: .*run the same command again") as ended:
        gather(used)
    assert all(f"{name} (DeviceError" in str(ended.value) for name in ("cpu:0", "cpu:1")), "in any order"


def test_a_site_that_cannot_be_opened_is_lost_alone() -> None:
    def open_site(site: str) -> FakeSite:
        if site == "site-02":
            raise ExpectedError("index again")
        return FakeSite(site)

    with DeviceLink(SITES, open_site, devices(2), print) as link:
        answers = dict(link.ask(TASK, link.sites()))
    assert answers["site-02"].reason == "index again"
    assert sum(isinstance(answer, Update) for answer in answers.values()) == 5


def test_a_bug_is_no_failure_of_the_device() -> None:
    class Buggy(FakeSite):
        def handle_at(self, received: ReceivedTask, compute: ComputeDevice) -> Update | Refusal:
            raise ZeroDivisionError

    with DeviceLink(SITES, Buggy, devices(2), print) as link, pytest.raises(ZeroDivisionError):
        list(link.ask(TASK, link.sites()))
