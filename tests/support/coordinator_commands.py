"""Commands of `ceus-coordinator`, called in this process."""

from __future__ import annotations

import pytest

import server.cli.main
from ceus_models.runtime.exit_codes import run_app


def told(capfd: pytest.CaptureFixture[str], *arguments: object, code: int = 0) -> str:
    """What a command printed, in one line; it must end with this code."""
    found = run_app(server.cli.main.app, list(map(str, arguments)))
    out, error = capfd.readouterr()
    assert found == code, out + error
    return " ".join((out + error).split())
