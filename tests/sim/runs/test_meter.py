"""Time and memory per stage."""

from __future__ import annotations

import os
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
    assert again["large"] == {"seconds": 0.0, "peak_memory_mb": meter.stages["large"]["peak_memory_mb"]}
