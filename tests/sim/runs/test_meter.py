"""Time and memory per stage."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

from sim.runs.meter import Meter, measure_memory_mb


def test_stages_add_up_and_see_what_is_held(tmp_path: Path) -> None:
    with Meter(tmp_path / "memory.json", interval_s=0.02) as meter:
        meter.begin_stage("small")
        time.sleep(0.1)
        meter.begin_stage("large")
        block = bytearray(os.urandom(1 << 20) * 80)
        time.sleep(0.2)
        meter.begin_stage("small")
        time.sleep(0.1)
        assert len(block) == 80 << 20
    assert meter.stages["small"]["seconds"] >= 0.2
    assert meter.stages["large"]["peak_memory_mb"] >= meter.stages["small"]["peak_memory_mb"] * 0.5
    assert meter.stages["large"]["peak_memory_mb"] > 80
    assert measure_memory_mb() > 50
    again = Meter(tmp_path / "memory.json").stages
    assert again["large"] == {**meter.stages["large"], "seconds": 0.0}


def test_the_processor_time_of_children_counts_while_they_run_and_when_they_have_ended(tmp_path: Path) -> None:
    work = "import time\nwhile time.process_time() < 0.5: pass\n"
    with Meter(tmp_path / "memory.json") as meter:
        meter.begin_stage("waiting")
        time.sleep(0.3)
        meter.begin_stage("working")
        with subprocess.Popen([sys.executable, "-c", work + "print(flush=True); input()"],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:  # fmt: skip
            assert child.stdout is not None
            child.stdout.readline()
            meter.begin_stage("other")  # the child runs
            running = meter.stages["working"]["processor_s"]
            child.communicate(b"\n")
        meter.begin_stage("working")  # the child has ended: what it used does not count twice
    assert meter.stages["waiting"]["processor_s"] < 0.3
    assert running >= 0.5
    assert meter.stages["working"]["processor_s"] < running + 0.3
    assert json.loads((tmp_path / "memory.json").read_text())["working"]["processor_s"] >= 0.5
