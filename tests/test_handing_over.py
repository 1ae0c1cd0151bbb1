"""Commands that need no net load no torch, and those that do are reached all the same."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from small_hospital import SmallHospital

from client.cli import app
from client.net_commands import app as net_app

SITE = "from client.cli import main; main()"
COMMAND = """
import sys
from ceus_models.exits import exit_code
from client.cli import app
code = exit_code(app, sys.argv[1:])
loaded = [name for name in ("torch", "torchvision", "flwr", "pandas") if name in sys.modules]
print(f"code {code}, loaded {loaded}")
"""


def run(words: list[str], *arguments: object) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"}
    command = [*words, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, env=environment)


def without(*arguments: object) -> str:
    return run([sys.executable, "-c", COMMAND], *arguments).stdout.splitlines()[-1]


def test_the_commands_of_every_day_do_not_load_torch(tmp_path: Path) -> None:
    """Two processes stand for all: what is loaded hangs on the command line's imports, and on what checking needs."""
    SmallHospital(tmp_path, 1).write()
    assert without("check", tmp_path, "--html", tmp_path / "page.html") == "code 0, loaded []"
    assert without("audit", "verify", tmp_path) == "code 0, loaded []"


def test_predict_bundle_and_preflight_are_run_by_the_process_that_has_them(tmp_path: Path) -> None:
    handed = run([sys.executable, "-c", SITE], "bundle", tmp_path / "none")
    assert handed.returncode == 1
    assert handed.stderr.startswith("Error:")
    told = run([sys.executable, "-c", SITE], "predict", "--help")
    assert told.returncode == 0
    assert "Usage: ceus-site predict [OPTIONS]" in told.stdout
    assert "--assist-log" in told.stdout


@pytest.mark.parametrize("name", ["predict", "bundle", "preflight"])
def test_the_list_of_commands_has_each_once(name: str) -> None:
    known, behind = typer.main.get_command(app), typer.main.get_command(net_app)
    assert name in known.commands  # type: ignore[attr-defined]
    assert behind.commands.keys() == {"predict", "bundle", "preflight"}  # type: ignore[attr-defined]
