from __future__ import annotations

import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from ceus_models.plan.progress import CurvePoint
from ceus_models.plan.terms.participation import RoundRecord
from ceus_models.runtime.errors import ExpectedError
from ceus_models.runtime.file_locks import hold_lock
from server.rounds.events import Answered, Event, Finished, Started
from server.run_folder.journal import Journal

EVENTS: list[Event] = [
    Started("submodels", "train", 1, 0, 2, ("disease/HCC",), ("site-01", "site-02")),
    Answered("submodels", 1, "site-02", "refused", "it may not: Größe", 1, 2),
    Finished(
        RoundRecord(
            "submodels", "train", 1, asked=("site-01",), refused={"site-02": "no"}, seconds=1.5, norms={"n": 0.25}
        ),
        1,
        2,
        (CurvePoint("submodels", 1, "disease/HCC", "training", 0.1 + 0.2, 30.0),),
    ),
]


def test_a_follower_gets_the_same_events_once_and_none_in_between(tmp_path: Path) -> None:
    writer, events = Journal(tmp_path), Journal(tmp_path).follow()
    writer.begin()
    assert next(events) is None
    writer.append(EVENTS[0])
    assert [next(events), next(events)] == [EVENTS[0], None]
    for event in EVENTS[1:]:
        writer.append(event)
    assert [next(events), next(events), next(events)] == [*EVENTS[1:], None]


def test_a_line_that_is_being_written_is_awaited(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.append(EVENTS[0])
    path = tmp_path / "events.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole[:20])
    events = journal.follow()
    assert next(events) is None
    path.write_bytes(whole)
    assert next(events) == EVENTS[0]


def test_a_line_of_another_version_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "events.jsonl").write_text('{"event": "Danced"}\nnot json\n{"event": "Started", "stage": 3}\n')
    journal = Journal(tmp_path)
    journal.append(EVENTS[0])
    events = journal.follow()
    assert [event for event in (next(events) for _ in range(5)) if event] == [EVENTS[0]]


def test_a_failure_is_said_whole_and_forgotten_by_the_next_run(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "run")
    assert journal.read_failure() is None
    journal.write_failure("site-01 must take part")
    assert journal.read_failure() == "site-01 must take part"
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["failure.json"]
    journal.begin()
    assert journal.read_failure() is None


def test_a_folder_has_one_coordinator_and_its_death_frees_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.run_folder.journal.hold_lock", partial(hold_lock, wait_s=0.1))
    code = (
        "import fcntl, sys, time; lock = open(sys.argv[1], 'w'); fcntl.flock(lock, fcntl.LOCK_EX)\n"
        "print('held', flush=True); time.sleep(600)"
    )
    journal = Journal(tmp_path)
    assert not journal.is_held()
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / ".coordinator.lock")], stdout=subprocess.PIPE
    ) as other:
        assert other.stdout
        other.stdout.readline()
        assert journal.is_held()
        with pytest.raises(ExpectedError, match="another coordinator runs in"), journal.hold():
            pass
        other.kill()
    assert not journal.is_held()
    with journal.hold():
        assert journal.is_held()
    assert not journal.is_held()
