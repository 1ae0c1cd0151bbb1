"""A sign of life is cheap, says what it does and since when, and a full disk does not end it."""

from __future__ import annotations

import json
import os
import threading
import time
from pathlib import Path

import pytest

from ceus_models.runtime.liveness.heartbeat import Heartbeat, is_silent
from ceus_models.runtime.liveness.moment import Moment, read_clock


def test_it_says_what_it_does_and_since_when(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [Moment(5000.0, 10.0, "a")]
    monkeypatch.setattr("ceus_models.runtime.liveness.heartbeat.read_clock", lambda: clock[-1])
    pulse = Heartbeat(tmp_path / "run" / "p")
    assert pulse.last() is None
    pulse.beat("asking")
    first = pulse.last()
    assert first is not None
    assert (first.doing, first.pid) == ("asking", os.getpid())
    clock.append(Moment(1000.0, 60.0, "a"))
    pulse._due = 0.0
    pulse.beat()
    again = pulse.last()
    assert again is not None
    assert (again.doing, again.since) == ("asking", first.since)
    assert again.at == clock[-1]
    pulse.beat("")
    last = pulse.last()
    assert last is not None
    assert last.doing == ""
    pulse.clear()
    assert pulse.last() is None


def test_it_is_written_once_a_second_at_most(tmp_path: Path) -> None:
    pulse, path = Heartbeat(tmp_path / "p"), tmp_path / "p"
    pulse.beat("asking")
    path.write_bytes(b"as it was")
    for _ in range(100):
        pulse.beat()
    assert path.read_bytes() == b"as it was"


def test_a_long_word_does_not_make_the_file_longer(tmp_path: Path) -> None:
    pulse, path = Heartbeat(tmp_path / "p"), tmp_path / "p"
    for doing in ("x" * 5000, "é" * 5000, '"' * 5000, "short"):
        pulse.beat(doing)
        assert path.stat().st_size == 4096
        json.loads(path.read_bytes())


def test_what_hinders_it_is_no_reason_to_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    pulse = Heartbeat(tmp_path / "p")
    pulse.beat("asking")
    monkeypatch.setattr("ceus_models.runtime.liveness.heartbeat.os.pwrite", full)
    pulse.beat("saving")
    found = pulse.last()
    assert found is not None
    assert found.doing == "asking"


def test_a_damaged_file_is_no_sign_of_life(tmp_path: Path) -> None:
    (tmp_path / "p").write_bytes(b"{")
    assert Heartbeat(tmp_path / "p").last() is None


def test_a_process_is_silent_by_a_clock_that_nobody_sets(tmp_path: Path) -> None:
    pulse = Heartbeat(tmp_path / "p")
    pulse.beat("asking")
    beat, now = pulse.last(), read_clock()
    assert beat is not None
    earlier, long = Moment(0.0), 3600.0
    back = Moment(now.at - long, now.running + 60.0, now.boot)
    assert is_silent(beat, earlier, back), "a minute has passed, whatever the wall clock says"
    ahead = Moment(now.at + long, now.running + 1.0, now.boot)
    assert not is_silent(beat, earlier, ahead), "one second has passed"
    other = Moment(now.at - long, 5.0, "another")
    assert is_silent(beat, beat.at, other), "what comes from the future is no sign of life"


def test_it_goes_on_during_a_computation_that_says_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ceus_models.runtime.liveness.heartbeat._EVERY_S", 0.02)
    pulse = Heartbeat(tmp_path / "p")
    pulse.beat("saving")
    with pulse.keep_beating("making results"):
        seen = set()
        end = time.monotonic() + 30
        while len(seen) < 5:
            assert time.monotonic() < end
            last = pulse.last()
            if last and last.doing == "making results":
                seen.add(last.at.running)
    still = pulse.last()
    time.sleep(0.1)
    assert pulse.last() == still
    with pytest.raises(ZeroDivisionError), pulse.keep_beating("making results"):
        raise ZeroDivisionError
    assert not [one for one in threading.enumerate() if one.name == "heartbeat"]
