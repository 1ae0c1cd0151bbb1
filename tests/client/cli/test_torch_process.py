"""Commands that need no net load no torch, and those that do are reached all the same."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from client.cli.torch_commands import app as net_app
from small_hospital import SmallHospital

from client.cli.main import app

COMMAND = """
import sys
from ceus_models.runtime.exit_codes import exit_code
from client.cli.main import app
code = exit_code(app, sys.argv[1:])
loaded = [name for name in ("torch", "torchvision", "flwr", "pandas") if name in sys.modules]
print(f"code {code}, loaded {loaded}")
"""


def run(code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"}
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, env=environment)


def test_checking_does_not_load_torch(tmp_path: Path) -> None:
    """One process stands for all: what is loaded hangs on the command line's imports, and on what checking needs."""
    SmallHospital(tmp_path, 1).write()
    told = run(COMMAND, "check", tmp_path, "--html", tmp_path / "page.html").stdout.splitlines()[-1]
    assert told == "code 0, loaded []"


def test_a_command_that_runs_nets_is_run_by_the_process_that_has_it() -> None:
    told = run("from client.cli.main import main; main()", "predict", "--workers", "0")
    assert told.returncode == 2
    assert "Usage: ceus-site predict [OPTIONS]" in told.stderr
    assert "0 is not in the range" in told.stderr


@pytest.mark.parametrize("name", ["predict", "bundle", "preflight"])
def test_the_list_of_commands_has_each_once(name: str) -> None:
    known, behind = typer.main.get_command(app), typer.main.get_command(net_app)
    assert name in known.commands  # type: ignore[attr-defined]
    assert behind.commands.keys() == {"predict", "bundle", "preflight"}  # type: ignore[attr-defined]
