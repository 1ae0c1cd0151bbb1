"""Real processes, SIGKILL of coordinator or site at each message: the same total, and no mask over two answers."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parents[1] / "support"
MOMENTS = ("offer", "masked", "confirm", "open")
SCENARIOS = [":".join(parts) for parts in itertools.product(("coordinator", "site"), MOMENTS, ("before", "after"))]
NAMES = [f"site-{number:02d}" for number in range(1, 5)]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(HERE), str(HERE.parents[1])))}
    command = [
        sys.executable,
        str(HERE / "killed_sums.py"),
        str(tmp_path_factory.mktemp("killed")),
        "nobody::",
        *SCENARIOS,
    ]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    return {one["scenario"]: one for one in found}


def test_nobody_dies_where_nobody_shall(played) -> None:
    assert played["nobody::"]["deaths"] == []
    assert played["nobody::"]["counted"] == NAMES


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_after_a_kill_the_total_is_the_same(played, scenario: str) -> None:
    one = played[scenario]
    who = "coordinator" if scenario.startswith("coordinator") else "site-02"
    assert one["deaths"] == [who]
    assert one["counted"] == NAMES
    assert one["digest"] == played["nobody::"]["digest"]


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_no_session_masked_two_answers(played, scenario: str) -> None:
    for lines in played[scenario]["masked"].values():
        sessions: dict[str, set[str]] = {}
        for line in lines:
            session, payload = line.split()
            sessions.setdefault(session, set()).add(payload)
        assert all(len(payloads) == 1 for payloads in sessions.values())
