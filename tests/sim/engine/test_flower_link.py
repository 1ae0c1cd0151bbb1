"""Real Flower processes: a minute each on two cores."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path

import psutil
import pytest
from fake_worker import HELD, site

from ceus_models.plan.plan import load_plan
from ceus_models.protocol.state import digest
from ceus_models.runtime.errors import ExpectedError
from server.rounds.coordinator import run
from server.rounds.events import Answered, Event
from server.rounds.saving.checkpoints import Store
from sim.engine.flower_link import ProcessSetup, run_processes
from tests.support.fake_sites import FakeLink

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

PLAN = """
name: processes
quorum: {share: 1.0, sites: 1}
architecture: {spatial_depth: 10, temporal_depth: 10, width: 8, hidden: 8}
stages:
  - {stage: hello}
  - {stage: statistics}
  - {stage: train, name: one, nets: [disease/HCC], cohorts: [training_a], rounds: 1, rule: {batch_size: 4}}
"""


def fake_worker(folder: Path, socket_path: Path) -> Sequence[str]:
    return [
        sys.executable,
        str(Path(__file__).parents[2] / "support" / "fake_worker.py"),
        str(folder),
        str(socket_path),
    ]


def study(folder: Path, plan: str = PLAN) -> tuple[Path, dict[str, Path]]:
    path = folder / "plan.yaml"
    path.write_text(plan)
    return path, {name: folder / name for name in HELD}


@pytest.fixture(autouse=True)
def _leaves_nothing():
    before = {process.pid for process in psutil.process_iter()}
    yield
    mine = [p for p in psutil.process_iter() if p.pid not in before and p.status() != psutil.STATUS_ZOMBIE]
    left = [p for p in mine if "flower" in " ".join(p.cmdline()) or "fake_worker" in " ".join(p.cmdline())]
    assert not left


def test_the_same_study_gives_the_same_nets_as_in_memory(tmp_path: Path) -> None:
    plan_path, sites = study(tmp_path)
    events: list[Event] = []
    run_processes(plan_path, tmp_path / "out", 3, sites, events.append, ProcessSetup(worker_command=fake_worker))

    plan = load_plan(plan_path)
    here = run(plan, FakeLink([site(name) for name in sites]), Store(tmp_path / "memory"), 3)
    there = Store(tmp_path / "out").latest(plan.digest(), 3)
    assert there is not None
    assert {net: digest(state) for net, state in there.nets.items()} == {n: digest(s) for n, s in here.nets.items()}
    assert there.stage == here.stage == 3
    counted = [(e.stage, e.site) for e in events if isinstance(e, Answered) and e.fate == "counted"]
    assert sorted(counted) == sorted((stage, name) for stage in ("hello", "statistics", "one") for name in sites)


def test_the_coordinators_reason_reaches_the_starter(tmp_path: Path) -> None:
    plan_path, sites = study(tmp_path, PLAN.replace("share: 1.0", "share: 1.0, required: [site-99]"))
    with pytest.raises(ExpectedError, match=r"site-99 must take part .*site-99: not registered.*superlink\.log"):
        run_processes(plan_path, tmp_path / "out", 3, sites, None, ProcessSetup(worker_command=fake_worker))


def test_a_worker_that_cannot_start_ends_the_run_at_once_with_its_reason(tmp_path: Path) -> None:
    plan_path, sites = study(tmp_path)
    begun = time.monotonic()
    with pytest.raises(ExpectedError, match=r"worker-site-01 ended with exit code 1: .*site\.yaml"):
        run_processes(plan_path, tmp_path / "out", 3, {"site-01": sites["site-01"]})
    assert time.monotonic() - begun < 60
