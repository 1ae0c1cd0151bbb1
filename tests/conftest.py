"""One thread, no network words from Flower, and no writing to the home directory."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
from hung_tests import pytest_configure, pytest_runtest_protocol  # noqa: F401 (hooks)

from sim.runs.instruction_set import unset_pins

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["FLWR_TELEMETRY_ENABLED"] = "0"
os.environ["FLWR_DISABLE_UPDATE_CHECK"] = "1"
os.environ["FLWR_DISABLE_RUNTIME_DEPENDENCY_INSTALLATION"] = "1"

# Processes that tests start compute as ceus-sim does, and so does this one.
os.environ.update(unset_pins(os.environ))

# Processes that tests start would each search the system's fonts anew in their new home.
os.environ.setdefault("MPLCONFIGDIR", str(Path(tempfile.gettempdir()) / "fedceus-tests-matplotlib"))

import torch


@pytest.fixture(autouse=True)
def _quiet_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A test that would write to the home directory writes to its own folder instead."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("FLWR_HOME", str(home / ".flwr"))
    torch.set_num_threads(1)
