"""docs/traps.md names tests that exist, and every trap has one."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_trap_has_a_test_that_exists() -> None:
    rows = [line for line in (ROOT / "docs" / "traps.md").read_text(encoding="utf-8").splitlines() if "|" in line][2:]
    assert len(rows) > 20
    for row in rows:
        named = re.findall(r"`([\w/.]*)::(\w+)`", row.split("|")[3])
        assert named, row
        path = ""
        for file, function in named:
            path = file or path
            assert f"def {function}(" in (ROOT / path).read_text(encoding="utf-8"), (path, function)
