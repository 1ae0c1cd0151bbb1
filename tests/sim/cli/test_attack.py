"""`ceus-sim attack` from a plan to its files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from ceus_models.runtime.errors import ExpectedError
from sim.attacks.catalogue import ATTACKS
from sim.cli.attack import choose_attacks
from sim.cli.main import app

SMOKE = Path(__file__).parents[3] / "configs" / "plan.smoke.yaml"


def test_attacks_are_chosen_by_name() -> None:
    assert choose_attacks(None) == list(ATTACKS)
    assert [attack.name for attack in choose_attacks(["frame"])] == ["frame"]
    with pytest.raises(ExpectedError, match="found frames; correct its spelling"):
        choose_attacks(["frames"])


@pytest.mark.slow
def test_command_leaves_its_files(tmp_path: Path) -> None:
    kinds = ["--kind", "tally_difference", "--kind", "planned_training"]
    ran = CliRunner().invoke(
        app, ["attack", str(SMOKE), "--out", str(tmp_path), "--lesions", "40", "--level", "sums", *kinds]
    )
    assert ran.exit_code == 0, ran.output
    outcomes = json.loads((tmp_path / "attack.json").read_text(encoding="utf-8"))["outcomes"]
    assert [(outcome["attack"], outcome["level"]) for outcome in outcomes] == [
        ("tally_difference", "sums"),
        ("planned_training", "sums"),
    ]
    assert (tmp_path / "experiments" / "attacks" / "figure.svg").exists()
