"""attack.json, the table and the figure of outcomes."""

from __future__ import annotations

import json
from pathlib import Path

from sim.attacks.publication import ATTACK_FILE, build_entry, publish_outcomes
from sim.attacks.trial import Outcome

OUTCOMES = [
    Outcome("fusion_memory", "none", "plan", 0, 70, "", None, None, 1.0, {"answered": 1, "plan": 1}),
    Outcome("planned_training", "none", "", 12, 40, "", None, None, 1.0, {"answered": 2}),
    Outcome("planned_training", "sums", "", 5, 160, "", None, None, 1.0, {"answered": 8}),
    Outcome("canaries", "distributed", "", 0, 140, "ε ≥ 0.0", 0.0, 1.3, 1.0, {"answered": 8}),
]


def test_table_of_attacks_by_level() -> None:
    entry = build_entry(OUTCOMES)
    assert entry.columns == ("attack", "what is asked", "none", "sums", "distributed")
    rows = {row[0]: row[2:] for row in entry.rows}
    assert rows["fusion_memory"] == ["0 of 70 · refused (plan)", "–", "–"]
    assert rows["planned_training"] == ["12 of 40", "5 of 160", "–"]
    assert rows["canaries"] == ["–", "–", "0 of 140 · ε ≥ 0.0 · claim 1.3"]
    assert entry.figure is not None
    assert entry.figure["values"][0] == [0.0, None, None]
    assert "sums: 1 of 1 attacks recover something (planned_training)." in entry.finding
    assert "At level sums a crafted net" in entry.finding


def test_files_of_a_run(tmp_path: Path) -> None:
    publish_outcomes(tmp_path, "demo", 1, OUTCOMES)
    found = json.loads((tmp_path / ATTACK_FILE).read_text(encoding="utf-8"))
    assert [outcome["recovered"] for outcome in found["outcomes"]] == [0, 12, 5, 0]
    folder = tmp_path / "experiments" / "attacks"
    assert {path.name for path in folder.iterdir()} == {"table.csv", "figure.svg", "result.json"}
