"""`ceus-site index` that is stopped or killed: what is finished is kept, nothing is half-written, no worker stays."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from small_hospital import SmallHospital

from ceus_models.study.processing import load_processing
from client.data.dataset.index import build_index
from client.data.dataset.samples import load_samples
from client.data.forms.site_config import load_site

TESTS = Path(__file__).parents[3] / "support"
PLAN = "processing: {frames_to_peak: 4, frames_after: 2, size: 24, flow_maps: 1, flow_size: 24, margin_px: 4}\n"
LESIONS = 12


@pytest.fixture
def hospital(tmp_path: Path) -> SmallHospital:
    (tmp_path / "plan.yaml").write_text(PLAN, encoding="utf-8")
    (tmp_path / "site").mkdir()
    hospital = SmallHospital(tmp_path / "site", LESIONS)
    hospital.write()
    return hospital


def start(hospital: SmallHospital) -> subprocess.Popen[str]:
    plan = str(hospital.folder.parent / "plan.yaml")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS), *sys.path])}
    command = [sys.executable, str(TESTS / "index_run.py"), "index", str(hospital.folder), "--plan", plan]
    return subprocess.Popen(
        [*command, "--workers", "2"], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def made(hospital: SmallHospital) -> set[str]:
    return {path.name for path in (hospital.folder / ".ceus" / "cache").glob("*.safetensors")}


def some_made(hospital: SmallHospital) -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if len(made(hospital)) >= 3:
            return
        time.sleep(0.02)
    raise AssertionError("no lesion was finished")


@pytest.mark.parametrize("with_signal", [signal.SIGTERM, signal.SIGKILL])
def test_a_stopped_index_keeps_what_is_finished_and_goes_on(
    hospital: SmallHospital, with_signal: signal.Signals
) -> None:
    running = start(hospital)
    some_made(hospital)
    workers = psutil.Process(running.pid).children()
    asked = time.monotonic()
    running.send_signal(with_signal)
    _, told = running.communicate(timeout=60)
    assert time.monotonic() - asked < 10
    assert running.returncode == (130 if with_signal == signal.SIGTERM else -signal.SIGKILL)
    _, alive = psutil.wait_procs(workers, timeout=10)
    assert [worker for worker in alive if worker.status() != psutil.STATUS_ZOMBIE] == []
    kept = made(hospital)
    assert 3 <= len(kept) < LESIONS
    assert not (hospital.folder / ".ceus" / "index.json").exists()
    plan = load_processing(hospital.folder.parent / "plan.yaml")
    report = build_index(load_site(hospital.folder), plan)
    assert (report.read, report.made) == (LESIONS, LESIONS - len(kept))
    assert kept < made(hospital)
    assert len(load_samples(load_site(hospital.folder), plan)) == LESIONS
    assert not list((hospital.folder / ".ceus").rglob(".part-*"))
    if with_signal == signal.SIGTERM:
        assert "the same command goes on from here" in told
