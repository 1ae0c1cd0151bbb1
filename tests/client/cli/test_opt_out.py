"""`ceus-site pause | resume | withdraw | rejoin`: what they print, write, delete and put down."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from toy_lesions import task

from ceus_models.runtime.exit_codes import run_app
from client.cli.main import app
from client.worker.audit.log import entries
from client.worker.site.opt_out import EVERY_STUDY, read_participation
from client.worker.tasks.site_memory import SiteMemory

OURS, THEIRS = "a" * 64, "b" * 64
TABLES = {"row": torch.ones(3)}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "site.yaml").write_text("schema: 1\ncenter: 5\nname: H\n", encoding="utf-8")
    (tmp_path / "policy.yaml").write_text(f"studies: {{ours: {OURS}, theirs: {THEIRS}}}\n", encoding="utf-8")
    return tmp_path


def run(folder: Path, *words: str) -> int:
    return run_app(app, [words[0], str(folder), *words[1:]])


def written(folder: Path) -> list[tuple[str, str | None]]:
    return [(entry["kind"], entry.get("study")) for entry in entries(folder / "records")]


def test_pause_and_resume(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(folder, "pause") == 0
    assert read_participation(folder / "records").refuses(OURS)
    assert run(folder, "resume") == 0
    assert read_participation(folder / "records").refuses(OURS) is None
    assert written(folder) == [("pause", None), ("resume", None)]
    assert "nothing leaves" in capsys.readouterr().out


def remembered(folder: Path) -> dict[str, bool]:
    memory = SiteMemory(folder / ".ceus" / "memory")
    states = {s: memory.local_states(task("train", study=s, round=2)).read("disease/HCC") for s in (OURS, THEIRS)}
    return {"frozen": bool(memory.table("t"))} | {study[0]: state is not None for study, state in states.items()}


def fill(folder: Path) -> None:
    memory = SiteMemory(folder / ".ceus" / "memory")
    memory.keep_table("t", TABLES)
    for study in (OURS, THEIRS):
        memory.local_states(task("train", study=study)).keep("disease/HCC", {"bn": torch.ones(1)})


def test_withdraw_asks_first_and_then_deletes_the_studys_memory_only(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(folder)
    assert run(folder, "withdraw", "--study", "ours") == 1
    assert "--yes" in capsys.readouterr().err
    assert remembered(folder) == {"frozen": True, "a": True, "b": True}
    assert written(folder) == []
    assert run(folder, "withdraw", "--study", "ours", "--yes") == 0
    assert remembered(folder) == {"frozen": False, "a": False, "b": True}
    standing = read_participation(folder / "records")
    assert standing.has_left(OURS)
    assert not standing.has_left(THEIRS)
    assert run(folder, "rejoin", "--study", OURS) == 0
    assert not read_participation(folder / "records").has_left(OURS)
    assert written(folder) == [("withdraw", OURS), ("rejoin", OURS)]


def test_leaving_every_study_forgets_everything(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fill(folder)
    assert run(folder, "withdraw", "--yes") == 0
    assert remembered(folder) == {"frozen": False, "a": False, "b": False}
    assert run(folder, "rejoin", "--study", "ours") == 0
    assert "withdrawn from others still" in capsys.readouterr().out
    assert run(folder, "rejoin") == 0
    assert not read_participation(folder / "records").withdrawn
    assert written(folder)[0] == ("withdraw", EVERY_STUDY)


def test_a_study_that_nobody_knows_is_an_expected_error(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(folder, "withdraw", "--study", "oars", "--yes") == 1
    assert "known are ours, theirs" in capsys.readouterr().err


def test_a_faulty_policy_does_not_keep_a_site_from_leaving(folder: Path) -> None:
    (folder / "policy.yaml").write_text("nonsense", encoding="utf-8")
    assert run(folder, "withdraw", "--study", OURS, "--yes") == 0
    assert read_participation(folder / "records").has_left(OURS)


def test_a_site_closes_even_where_its_audit_was_changed_but_does_not_open(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(folder, "pause") == 0
    assert run(folder, "resume") == 0
    (folder / "records" / "audit.head").unlink()
    assert run(folder, "pause") == 1
    assert "audit verify" in capsys.readouterr().err
    assert read_participation(folder / "records").paused
    assert run(folder, "resume") == 1
    assert read_participation(folder / "records").paused
