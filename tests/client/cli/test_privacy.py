"""`ceus-site privacy`: words, JSON and a picture of what was spent, and a ledger that was changed."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from small_hospital import SmallHospital

from ceus_models.runtime.exit_codes import run_app
from client.cli.main import app
from client.policy.approved_studies import ApprovedStudy, change_approved
from client.worker.privacy.budget import BudgetLedger, Charge, Cost


@pytest.fixture
def hospital(tmp_path: Path) -> Path:
    folder = tmp_path / "site-01"
    folder.mkdir()
    SmallHospital(folder, 1).write()
    return folder


def spend(folder: Path, rounds: int) -> None:
    ledger = BudgetLedger(folder / "records")
    for number in range(rounds):
        cost = Cost(f"question {number}", "ab" * 32, ("training_a",), "private", number, 1, 20.0**-2, 12 * 20.0**-2)
        ledger.charge(Charge(cost, "payload"))


def test_a_site_without_private_studies_says_so(hospital: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_app(app, ["privacy", "show", str(hospital)]) == 0
    assert "no privacy budget was spent" in capsys.readouterr().out


def test_what_was_spent_is_told_in_words_json_and_a_picture(hospital: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spend(hospital, 10)
    picture = hospital / "spent.png"
    assert run_app(app, ["privacy", "show", str(hospital), "--picture", str(picture)]) == 0
    text = capsys.readouterr().out
    assert "abababababab" in text
    one = ApprovedStudy(study="liver", plan_digest="ab" * 32, bundle="b", reviewers=("it",), approved=datetime.now(UTC))
    change_approved(hospital / "records", lambda known: known.with_study(one))
    assert run_app(app, ["privacy", "show", str(hospital)]) == 0
    assert "liver" in capsys.readouterr().out, "the name of the approval"
    assert "% sure after all answers" in text
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert run_app(app, ["privacy", "show", str(hospital), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["studies"][0]["rounds"] == 10
    assert 0 < found["lifetime_epsilon"] < 3


def test_a_changed_ledger_is_found(hospital: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spend(hospital, 3)
    assert run_app(app, ["privacy", "verify", str(hospital)]) == 0
    log = hospital / "records" / "budget.jsonl"
    log.write_bytes(log.read_bytes().replace(b"0.0025", b"0.0001", 1))
    assert run_app(app, ["privacy", "verify", str(hospital)]) == 1
    assert "budget.jsonl line 1" in capsys.readouterr().out
    assert run_app(app, ["privacy", "show", str(hospital)]) == 1
