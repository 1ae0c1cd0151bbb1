from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from ceus_models.runtime.findings import State
from client.policy.machine import Machine
from client.service import preflight_machine, preflight_training

GB = 1 << 30


@pytest.mark.parametrize(("free", "state"), [(GB // 2, "fault"), (5 * GB, "note"), (50 * GB, "ok")])
def test_disk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, free: int, state: State) -> None:
    asked: list[Path] = []
    monkeypatch.setattr(shutil, "disk_usage", lambda path: asked.append(path) or SimpleNamespace(free=free))  # type: ignore[func-returns-value]
    found = preflight_machine.disk({"work": tmp_path / "not" / "yet", "records": tmp_path})
    assert (found.state, bool(found.remedy)) == (state, state != "ok")
    assert asked == [tmp_path, tmp_path]


@pytest.mark.parametrize(("has", "state"), [(GB, "fault"), (4 * GB, "note"), (16 * GB, "ok")])
def test_memory(monkeypatch: pytest.MonkeyPatch, has: int, state: State) -> None:
    monkeypatch.setattr(preflight_machine, "read_memory_bytes", lambda: has)
    assert preflight_machine.memory().state == state


def test_folders_are_tried_with_a_file(tmp_path: Path) -> None:
    before = list(tmp_path.iterdir())
    assert preflight_machine.writable({"work": tmp_path}).state == "ok"
    assert list(tmp_path.iterdir()) == before
    found = preflight_machine.writable({"records": Path("/proc/self")})
    assert found.state == "fault"
    assert "records cannot be written" in found.found


@pytest.mark.parametrize(("size", "state"), [(1 << 20, "note"), (GB, "ok")])
def test_shared_memory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, size: int, state: State) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(total=size))
    assert preflight_machine.shared_memory(tmp_path).state == state
    assert preflight_machine.shared_memory(tmp_path / "none").state == "note"


@pytest.mark.parametrize(
    ("files", "state", "said"),
    [
        ({}, "ok", "v1 or none"),
        ({"cgroup.controllers": "cpu", "cpu.max": "max 100000", "pids.max": "max"}, "ok", "v2"),
        ({"cpu.max": "50000 100000"}, "note", "0.5 processors"),
        ({"pids.max": "64"}, "fault", "64 tasks"),
    ],
)
def test_cgroup(tmp_path: Path, files: dict[str, str], state: State, said: str) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text + "\n")
    found = preflight_machine.cgroup(tmp_path)
    assert found.state == state
    assert said in found.found


def test_open_files(monkeypatch: pytest.MonkeyPatch) -> None:
    for soft, state in ((256, "fault"), (65536, "ok"), (-1, "ok")):
        process = SimpleNamespace(rlimit=lambda _, soft=soft: (soft, soft))
        monkeypatch.setattr(preflight_machine.psutil, "Process", lambda process=process: process)
        assert preflight_machine.open_files().state == state


def test_a_processor_needs_no_card(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert preflight_training.graphics(Machine()).state in ("ok", "note")


@pytest.mark.gpu
def test_a_card_that_policy_lists_is_tried() -> None:
    found = preflight_training.graphics(Machine(gpus=(0,)))
    assert found.state == "ok"
    assert torch.cuda.get_device_name(0) in found.found
