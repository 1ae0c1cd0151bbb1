"""A full disk is said with its folder and the fix, by `health`, `preflight` and `up`; with room all goes on."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from made_federation import NOW, Lab, lab

from ceus_models.runtime.errors import ExpectedError
from ceus_models.runtime.file_locks import hold_lock
from ceus_models.runtime.liveness.heartbeat import Heartbeat
from server.federation.federation_file import load_federation
from server.operations.daemon import _Loop
from server.operations.disk_room import LEAST_BYTES, find_shortage
from server.operations.health import health_of
from server.operations.preflight import Subject, _disk
from tests.support.small_disk import fill, small_disk


@pytest.fixture
def made(tmp_path: Path) -> Lab:
    return lab(tmp_path / "co")


def test_the_superlinks_disk_alone_may_be_full(made: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    home, federation = made.home, load_federation(made.home.federation)
    monkeypatch.setattr("server.operations.health.is_superlink_healthy", lambda *_: True)
    with small_disk(home.database.parent, 2 * LEAST_BYTES >> 20), hold_lock(home.up_lock, ExpectedError("taken")):
        assert find_shortage(home, probe=True) == ""
        assert health_of(home, lambda: federation).state == "ok"
        ballast = fill(home.database.parent)
        (found,) = _disk(Subject(home, federation, NOW))
        for said in (health_of(home, lambda: federation), found):
            assert said.state == "fault"
            assert "the disk is full: 0 MB free for the SuperLink's database" in said.found
            assert "the run goes on by itself" in said.remedy
        ballast.unlink()
        assert health_of(home, lambda: federation).state == "ok"


def test_a_quota_is_seen_by_writing(made: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))

    assert find_shortage(made.home, probe=True) == ""
    monkeypatch.setattr("server.operations.disk_room.tempfile.TemporaryFile", refuse)
    assert "the disk is full" in find_shortage(made.home, probe=True)
    assert find_shortage(made.home) == ""


def test_what_hinders_up_is_a_fault_of_health(made: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    home = made.home
    monkeypatch.setattr("server.operations.health.is_superlink_healthy", lambda *_: True)
    with hold_lock(home.up_lock, ExpectedError("taken")):
        Heartbeat(home.up_heartbeat).beat("the SuperLink at 127.0.0.1:9 failed on a request (HTTPStatusError)")
        found = health_of(home, lambda: load_federation(home.federation))
    assert (found.state, "`up` cannot go on: the SuperLink" in found.found) == ("fault", True)


class Fleet:
    """Services of which none is hung, and nothing may be started again."""

    def step(self) -> None: ...

    def restart(self, name: str, why: str) -> None:
        raise AssertionError(f"{name} was started again: {why}")


def test_up_waits_for_room_and_asks_the_superlink_nothing(made: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    shortage = ["the disk is full: 0 MB free for the run in x, at least 64 MB are needed; make room there"]
    monkeypatch.setattr("server.operations.daemon.find_shortage", lambda *_, **__: shortage[0])
    monkeypatch.setattr("server.operations.daemon.is_up", lambda *_: bool(asked.append("up")) or False)
    told: list[object] = []
    loop = _Loop(made.home, load_federation(made.home.federation), Fleet(), told.append)  # type: ignore[arg-type]
    monkeypatch.setattr(Fleet, "read_last_log_line", lambda *_: "", raising=False)
    monkeypatch.setattr(Fleet, "uptime", lambda *_: 0.0, raising=False)
    for _ in range(3):
        loop.step()
    beat = Heartbeat(made.home.up_heartbeat).last()
    assert beat is not None
    assert (beat.doing, asked, loop.shortage) == (shortage[0], [], shortage[0])
    assert told == [{"event": "trouble", "said": shortage[0]}]
    shortage[0] = ""
    loop.step()
    assert (asked, loop.shortage) == (["up"], "")
