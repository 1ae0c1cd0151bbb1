"""`ceus-site serve`, `worker` and `courier` say before anything is started what would end them again and again."""

from __future__ import annotations

from pathlib import Path

import pytest

from ceus_models.runtime.exit_codes import run_app
from client.cli.main import app


@pytest.mark.parametrize("command", ["serve", "worker", "courier"])
def test_a_path_too_long_for_a_socket(command: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    name = ("--site", "site-01") if command == "worker" else ()
    assert run_app(app, [command, str(tmp_path / ("d" * 90)), *name]) == 1
    assert "a socket's path has at most 100 bytes" in " ".join(capfd.readouterr().err.split())
