"""A sign of life is cheap, says what it does and since when, and a full disk does not end it."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from server.run_folder.heartbeat import Heartbeat


def test_it_says_what_it_does_and_since_when(tmp_path: Path) -> None:
    pulse, path = Heartbeat(tmp_path / "run" / "p"), tmp_path / "run" / "p"
    assert pulse.last() is None
    pulse.beat("asking")
    first = pulse.last()
    assert first is not None
    assert (first.doing, first.pid) == ("asking", os.getpid())
    os.utime(path, (1000.0, 1000.0))
    pulse._due = 0.0
    pulse.beat()
    again = pulse.last()
    assert again is not None
    assert (again.doing, again.since) == ("asking", first.since)
    assert again.at > 1000.0
    pulse.beat("")
    last = pulse.last()
    assert last is not None
    assert last.doing == ""
    pulse.clear()
    assert pulse.last() is None


def test_it_is_written_once_a_second_at_most(tmp_path: Path) -> None:
    pulse, path = Heartbeat(tmp_path / "p"), tmp_path / "p"
    pulse.beat("asking")
    os.utime(path, (1000.0, 1000.0))
    for _ in range(100):
        pulse.beat()
    assert path.stat().st_mtime == 1000.0


def test_a_long_word_does_not_make_the_file_longer(tmp_path: Path) -> None:
    pulse, path = Heartbeat(tmp_path / "p"), tmp_path / "p"
    for doing in ("x" * 5000, "é" * 5000, '"' * 5000, "short"):
        pulse.beat(doing)
        assert path.stat().st_size == 1024
        json.loads(path.read_bytes())


def test_what_hinders_it_is_no_reason_to_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    pulse = Heartbeat(tmp_path / "p")
    pulse.beat("asking")
    monkeypatch.setattr("server.run_folder.heartbeat.os.pwrite", full)
    pulse.beat("saving")
    found = pulse.last()
    assert found is not None
    assert found.at <= time.time()


def test_a_damaged_file_is_no_sign_of_life(tmp_path: Path) -> None:
    (tmp_path / "p").write_bytes(b"{")
    assert Heartbeat(tmp_path / "p").last() is None
