"""Every command of the coordinator ends with the next one, by what lies in the folder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from made_federation import Lab, lab

from ceus_models.runtime.errors import ExpectedError
from ceus_models.runtime.exit_codes import run_app
from ceus_models.runtime.file_locks import hold_lock
from server.cli.main import app
from server.cli.next_step import describe_next
from server.run_folder.orders import State, order_run, write_state


@pytest.fixture
def made(tmp_path: Path) -> Lab:
    return lab(tmp_path / "co")


def test_from_nothing_to_a_finished_run(tmp_path: Path, made: Lab) -> None:
    bare, folder, home = tmp_path / "bare", made.home.folder, made.home
    bare.mkdir()
    assert describe_next("status", bare) == f"ceus-coordinator init {bare}"
    (bare / "federation.yaml").write_text("schema: 1\n")
    assert "put plan.yaml beside it" in describe_next("init", bare)
    assert f"ceus-coordinator enrol {folder} REQUEST" in describe_next("init", folder)
    made.joined(tmp_path / "site")
    assert f"ceus-coordinator up {folder}" in describe_next("enrol", folder)
    with hold_lock(home.up_lock, ExpectedError("taken")):
        assert f"ceus-coordinator preflight {folder}" in describe_next("enrol", folder)
        assert describe_next("preflight", folder) == f"ceus-coordinator run {folder}"
        order = order_run(made.study)
        for phase, words in (("running", "status"), ("failed", "preflight"), ("done", "report")):
            write_state(made.study, State(order=order.id, phase=phase))  # type: ignore[arg-type]
            assert f"ceus-coordinator {words} {folder}" in describe_next("run", folder)


def test_what_cannot_be_read_leads_to_the_checks(made: Lab) -> None:
    made.home.sites.write_text("{")
    assert "preflight" in describe_next("status", made.home.folder)


def test_a_command_ends_with_it_but_for_machines_and_after_a_failure(
    made: Lab, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = str(made.home.folder)
    assert run_app(app, ["status", folder]) == 0
    said = capfd.readouterr()
    assert said.err.splitlines()[-1].startswith("next: when a site has sent its request")
    assert "next:" not in said.out
    assert run_app(app, ["status", folder, "--json"]) == 0
    said = capfd.readouterr()
    assert "next:" not in said.err
    json.loads(said.out)
    assert run_app(app, ["health", folder]) == 1
    assert "next:" not in capfd.readouterr().err
    assert run_app(app, ["people", folder, "list"]) == 0
    assert "next:" not in capfd.readouterr().err
    assert run_app(app, ["plan", str(made.home.folder / "plan.yaml")]) == 0
    assert "next: ceus-coordinator init FOLDER" in capfd.readouterr().err
