from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from made_federation import Lab, lab

import client.service.watchdogs
from ceus_models.runtime.errors import ExpectedError
from ceus_models.runtime.liveness.heartbeat import Heartbeat
from ceus_models.runtime.liveness.moment import Moment
from client.courier.connectivity import ProbeResult
from client.courier.folder import CourierFolder
from client.courier.ipc import WorkerUnreachableError
from client.service.watchdogs import ABANDONED_S, CONTACT_S, SILENT_S, KitWatch, LineWatch, WorkerWatch


@dataclass
class Keeper:
    running: bool = True
    restarted: list[tuple[str, str]] = field(default_factory=list)

    def is_running(self, name: str) -> bool:
        return self.running

    def restart(self, name: str, why: str) -> None:
        self.restarted.append((name, why))


class Clock:
    def __init__(self, at: float = 1e9) -> None:
        self.at = at

    def __call__(self) -> float:
        return self.at


class Worker:
    """Says what it is told to say."""

    said: dict[str, Any] | None = None

    def __call__(self, _: Path) -> dict[str, Any]:
        if self.said is None:
            raise WorkerUnreachableError
        return {"wrong": "", "alone_s": 0.0, **self.said}


def test_a_worker_is_left_alone_while_it_starts_works_or_waits() -> None:
    keeper, clock, worker = Keeper(), Clock(), Worker()
    watch = WorkerWatch(Path("w"), print, worker, clock)
    for said in (None, None, {}, {"alone_s": ABANDONED_S - 1}, {"doing": "working", "for_s": 1e5}):
        worker.said = said
        clock.at += 10 * SILENT_S
        watch.look(keeper)
    assert keeper.restarted == []
    assert watch.is_well
    worker.said = {"wrong": "policy.yaml has a fault"}
    watch.look(keeper)
    assert not watch.is_well


def test_one_that_falls_silent_or_works_for_nobody_is_started_anew() -> None:
    keeper, clock, worker = Keeper(), Clock(), Worker()
    watch = WorkerWatch(Path("w"), print, worker, clock)
    worker.said = {}
    watch.look(keeper)
    worker.said = None
    clock.at += SILENT_S - 1
    watch.look(keeper)
    assert keeper.restarted == []
    assert not watch.is_well
    clock.at += 2
    watch.look(keeper)
    assert [(name, "has not said" in why) for name, why in keeper.restarted] == [("worker", True)]
    clock.at += 10 * SILENT_S
    watch.look(keeper)  # the new one reads its samples
    assert len(keeper.restarted) == 1
    worker.said = {"alone_s": ABANDONED_S + 1}
    watch.look(keeper)
    assert "nobody has waited for" in keeper.restarted[1][1]


def test_one_that_has_ended_is_the_supervisors_business() -> None:
    keeper, clock, worker = Keeper(), Clock(), Worker()
    watch = WorkerWatch(Path("w"), print, worker, clock)
    worker.said = {}
    watch.look(keeper)
    keeper.running = False
    clock.at += 10 * SILENT_S
    watch.look(keeper)
    assert keeper.restarted == []
    assert not watch.is_well


@pytest.fixture
def federation(tmp_path: Path) -> Lab:
    return lab(tmp_path / "co")


@pytest.fixture
def courier(federation: Lab, tmp_path: Path) -> CourierFolder:
    return federation.joined(tmp_path / "s")


class Moments(Clock):
    """The wall clock jumps at every look, back and forth."""

    def __call__(self) -> Moment:  # type: ignore[override]
        self.jump = -getattr(self, "jump", 7200.0)
        return Moment(1.8e9 + self.jump, self.at, "a")


def heard(courier: CourierFolder, at: float) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ceus_models.runtime.liveness.heartbeat.read_clock", lambda: Moment(1.8e9, at, "a"))
        Heartbeat(courier.contact).beat()


def test_a_cut_line_is_told_once_with_its_cause_and_once_when_it_is_mended(courier: CourierFolder) -> None:
    said: list[Any] = []
    clock, faults = Moments(), iter([ProbeResult("no way", "mend it")] * 2 + [ProbeResult()] * 9)
    watch = LineWatch(courier, lambda event: said.append(event["said"]), lambda *_: next(faults), clock)
    heard(courier, clock.at - 5)  # before it began
    watch.look(Keeper())
    assert (watch.is_well, said) == (False, [])
    clock.at += 10
    heard(courier, clock.at - 1)
    watch.look(Keeper())
    assert (watch.is_well, said) == (True, ["the coordinator answers"])
    for _ in range(2):
        clock.at += CONTACT_S + 1
        watch.look(Keeper())
    assert said[1:] == ["no way: mend it"]
    clock.at += 100
    watch.look(Keeper())
    assert "its key was revoked" in said[2]
    heard(courier, clock.at)
    watch.look(Keeper())
    assert said[3:] == ["the coordinator answers"]


def test_a_node_that_does_not_run_is_asked_about_at_once_but_not_all_the_time(courier: CourierFolder) -> None:
    clock, probes = Moments(), []
    watch = LineWatch(courier, print, lambda *_: probes.append(1) or ProbeResult("x", "y"), clock)  # type: ignore[func-returns-value]
    for _ in range(30):
        clock.at += 1
        watch.look(Keeper(running=False))
    assert len(probes) == 1


def test_a_new_key_starts_the_node_anew_and_a_kit_that_ends_is_told_daily(
    courier: CourierFolder, federation: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[Any] = []
    keeper, clock = Keeper(), Clock()
    watch = KitWatch(courier, lambda event: said.append(event["said"]), clock)
    watch.look(keeper)
    watch.look(keeper)
    assert (keeper.restarted, said) == ([], [])
    federation.site(courier.folder.parent, "site-01", renew=True)
    federation.join(courier, federation.enrol(courier.request))
    watch.look(keeper)
    assert [name for name, _ in keeper.restarted] == ["node"]
    later = federation.now + timedelta(days=350)
    monkeypatch.setattr(client.service.watchdogs, "utc_now", lambda: later)
    for _ in range(5):
        clock.at += 43_200
        watch.look(keeper)
    assert 2 <= len(said) <= 3
    assert "ends on" in said[0]
    monkeypatch.setattr(client.service.watchdogs, "utc_now", lambda: federation.now + timedelta(days=400))
    clock.at += 90_000
    watch.look(keeper)
    assert "expired on" in said[-1]
    assert len(keeper.restarted) == 1


def test_an_expired_kit_is_the_cause_that_is_told(courier: CourierFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[Any] = []

    def ended(*_: object) -> None:
        raise ExpectedError("the site's certificate expired")

    monkeypatch.setattr(client.service.watchdogs, "load_kit", ended)
    LineWatch(courier, lambda event: said.append(event["said"]), clock=Moments()).look(Keeper(running=False))
    assert said == ["the site's certificate expired"]
