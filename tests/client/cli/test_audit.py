"""`ceus-site audit verify | show | export` on the audit of a real site."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from pathlib import Path
from typing import Any

import pytest
from toy_lesions import lesions, task

from ceus_models.protocol.software import read_software
from ceus_models.runtime.exit_codes import run_app
from client.cli.main import app
from client.worker.audit.log import LOG_FILE, Audit
from client.worker.audit.recorder import open_recorder
from client.worker.site.site import Site
from tests.support.open_policy import open_policy


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A site that answered a tally, trained a net and refused an evaluation."""
    (tmp_path / "site.yaml").write_text("schema: 1\ncenter: 5\nname: H\n", encoding="utf-8")
    trail = open_recorder(Audit(tmp_path / "records"))
    policy = open_policy(kinds=("tally", "train"))
    site = Site("site-01", lesions(6), "p1", policy, tmp_path / "memory", trail=trail)
    for kind in ("tally", "train", "evaluate"):
        site.handle(task(kind, ("disease/HCC",), study="5" * 64, stage="=submodels"))
    return tmp_path


def run(*words: object) -> int:
    return run_app(app, ["audit", *map(str, words)])


def spoil(folder: Path) -> None:
    log = folder / "records" / LOG_FILE
    log.write_bytes(log.read_bytes().replace(b'"weight":6.0', b'"weight":5.0', 1))


def test_verify_ends_with_0_or_with_1_and_the_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("verify", folder) == 0
    assert "7 entries, unchanged; last hash" in capsys.readouterr().out
    spoil(folder)
    assert run("verify", folder) == 1
    out = capsys.readouterr().out
    assert "audit.jsonl line 3: does not match its hash" in out
    assert "CHANGED, 1 findings" in out
    assert run("verify", folder, "--json") == 1
    verdict = json.loads(capsys.readouterr().out)
    assert (verdict["ok"], [finding["line"] for finding in verdict["findings"]]) == (False, [3])


def test_show_is_a_table_of_what_left(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "250")
    assert run("show", folder) == 0
    out = capsys.readouterr().out
    for part in (
        "answer",
        "555555555555",
        "=submodels",
        "privacy none",
        "disease/HCC norm",
        "policy: the site's policy",
    ):
        assert part in out
    assert "7 entries, unchanged" in out
    assert run("show", folder, "--last", "1") == 0
    assert "privacy none" not in capsys.readouterr().out


def test_show_for_a_machine_is_one_entry_a_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("show", folder, "--json") == 0
    shown: list[dict[str, Any]] = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [entry["kind"] for entry in shown] == ["task", "layout", "answer"] * 2 + ["refusal"]


def test_export_copies_and_says_what_verification_found(folder: Path, tmp_path: Path) -> None:
    assert run("export", folder, tmp_path / "copy.json") == 0
    copy = json.loads((tmp_path / "copy.json").read_text(encoding="utf-8"))
    assert copy["verification"]["ok"] is True
    assert len(copy["entries"]) == copy["verification"]["entries"] == 7
    assert run("export", folder, tmp_path / "copy.csv") == 0
    rows = list(csv.DictReader(io.StringIO((tmp_path / "copy.csv").read_text(encoding="utf-8-sig"))))
    assert [row["n"] for row in rows] == list("1234567")
    assert rows[2]["stage"] == "'=submodels", "no formula for a spreadsheet"
    assert json.loads(rows[2]["more"])["groups"]
    beside = json.loads((tmp_path / "copy.csv.verification.json").read_text(encoding="utf-8"))
    assert beside["hash"] == rows[-1]["hash"]


def test_export_of_a_changed_audit_says_so_and_ends_with_1(folder: Path, tmp_path: Path) -> None:
    spoil(folder)
    assert run("export", folder, tmp_path / "copy.json") == 1
    assert json.loads((tmp_path / "copy.json").read_text(encoding="utf-8"))["verification"]["findings"]


def test_export_to_an_impossible_place_is_an_expected_error(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("export", folder, tmp_path / "copy.txt") == 1
    assert ".csv or a .json" in capsys.readouterr().err
    (tmp_path / "file").write_bytes(b"")
    assert run("export", folder, tmp_path / "file" / "copy.json") == 1
    assert "cannot be written" in capsys.readouterr().err


def test_a_site_that_was_never_asked_has_an_empty_audit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "site.yaml").write_text("schema: 1\ncenter: 5\nname: H\n", encoding="utf-8")
    assert run("verify", tmp_path) == 0
    assert "0 entries, unchanged" in capsys.readouterr().out


def test_software_lists_all_that_is_installed_and_the_digest_that_is_sent(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("software", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    lines = "".join(f"{line}\n" for line in found["distributions"])
    assert any(line.startswith("pydicom==") for line in found["distributions"])
    assert found["installed"] == read_software().installed == hashlib.sha256(lines.encode()).hexdigest()
    assert run("software") == 0
    assert capsys.readouterr().out.startswith(lines)
