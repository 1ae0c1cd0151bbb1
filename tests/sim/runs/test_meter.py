"""Time and memory per stage."""

from __future__ import annotations

import multiprocessing
import os
import time
from pathlib import Path

import psutil
import pytest

from sim.runs.meter import Meter, held_mb
from ceus_models.runtime.child_processes import pool


def test_stages_add_up_and_see_what_is_held(tmp_path: Path) -> None:
    with Meter(tmp_path / "memory.json", interval_s=0.02) as meter:
        meter.stage("small")
        time.sleep(0.1)
        meter.stage("large")
        block = bytearray(os.urandom(1 << 20) * 80)
        time.sleep(0.2)
        meter.stage("small")
        time.sleep(0.1)
        assert len(block) == 80 << 20
    assert meter.stages["small"]["seconds"] >= 0.2
    assert meter.stages["large"]["peak_memory_mb"] >= meter.stages["small"]["peak_memory_mb"] * 0.5
    assert meter.stages["large"]["peak_memory_mb"] > 80
    assert held_mb() > 50
    again = Meter(tmp_path / "memory.json").stages
    assert again["large"] == {"seconds": 0.0, "peak_memory_mb": meter.stages["large"]["peak_memory_mb"]}


def _parent(pipe: multiprocessing.connection.Connection) -> None:
    with pool(1) as processes:
        pipe.send(processes.submit(os.getpid).result())
        time.sleep(60)


def test_a_pool_leaves_no_orphan_when_its_parent_is_killed() -> None:
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    parent = spawn.Process(target=_parent, args=(theirs,))
    parent.start()
    child = psutil.Process(ours.recv())
    assert child.is_running()
    parent.kill()
    parent.join()
    psutil.wait_procs([child], timeout=10)
    with pytest.raises(psutil.NoSuchProcess):
        psutil.Process(child.pid)
