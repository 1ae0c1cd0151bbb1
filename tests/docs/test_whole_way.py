"""The coordinator's guide counts the commands of a federation right: each exists, and they are twenty at most."""

from __future__ import annotations

import re
from pathlib import Path

import client.cli.main
import server.cli.main

PAGE = (Path(__file__).parents[2] / "docs" / "coordinator.md").read_text(encoding="utf-8")
COMMANDS = {"ceus-coordinator": server.cli.main.app.commands, "ceus-site": client.cli.main.app.commands}
MOST = 20


def test_the_commands_of_the_whole_way_exist_and_are_counted_right() -> None:
    table = PAGE.partition("**The whole way**")[2].partition("\n\n|")[2].partition("\n\n")[0]
    rows = re.findall(r"(?m)^\| \S.*?\| `(ceus-\S+) (\S+).*\| (\d+) \|$", table)
    assert len(rows) == 9
    assert all(command in COMMANDS[program] for program, command, _ in rows)
    (said,) = re.findall(r"\*\*in all\*\* \| \*\*(\d+)\*\*", table)
    assert sum(int(times) for *_, times in rows) == int(said) <= MOST
