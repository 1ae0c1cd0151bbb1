"""`ceus-coordinator study` add · list · remove, and the commands that take --study where there is a choice."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from coordinator_commands import told
from made_federation import PLAN, Lab, digest, lab

from ceus_models.runtime.errors import ExpectedError
from ceus_models.runtime.file_locks import hold_lock
from server.run_folder.orders import State, order_run, read_order, write_state
from server.run_folder.paths import StudyFolder


@pytest.fixture
def made(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Lab:
    """Two studies, tiny and second, and one site."""
    found = lab(tmp_path / "co")
    found.joined(tmp_path / "site")
    plan = tmp_path / "second.yaml"
    plan.write_text(PLAN.replace("tiny", "second"))
    said = told(capfd, "study", "add", found.home.folder, plan, "--seed", 5)
    bundle = StudyFolder(found.home, "second").bundle
    assert f"added second made the bundle of second: {bundle}, SHA-256 {digest(bundle.read_bytes())}" in said
    assert f"send {bundle} to the sites; each runs `ceus-site approve FOLDER bundle.fab`" in said
    return found


def second(made: Lab) -> StudyFolder:
    return StudyFolder(made.home, "second")


def test_the_list_has_every_study_with_its_plan_and_bundle(made: Lab, capfd: pytest.CaptureFixture[str]) -> None:
    order = order_run(second(made))
    write_state(second(made), State(order=order.id, phase="running"))
    found = json.loads(told(capfd, "study", "list", made.home.folder, "--json"))
    assert [(one["name"], one["seed"], one["phase"], one["stages"]) for one in found] == [
        ("second", 5, "running", ["hello"]),
        ("tiny", 1, "none", ["hello"]),
    ]
    assert [one["bundle"] for one in found] == [
        digest(StudyFolder(made.home, name).bundle.read_bytes()) for name in ("second", "tiny")
    ]
    said = told(capfd, "study", "list", made.home.folder)
    assert "second" in said
    assert "running" in said


def test_a_changed_plan_says_what_the_sites_must_do(
    made: Lab, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    plan = tmp_path / "second.yaml"
    assert "kept the bundle of second" in told(capfd, "study", "add", made.home.folder, plan)
    plan.write_text(plan.read_text().replace("1.0", "0.9"))
    said = told(capfd, "study", "add", made.home.folder, plan)
    assert "changed second" in said
    assert "every site must approve this one" in said
    assert "each runs `ceus-site approve FOLDER bundle.fab`" in said


def test_a_study_that_is_removed_is_asked_about_and_kept_aside(
    made: Lab, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("typer.confirm", lambda question: question != "Remove second, of which the run is none?")
    assert "the study was not removed" in told(capfd, "study", "remove", made.home.folder, "second", code=1)
    assert second(made).settings.exists()
    said = told(capfd, "study", "remove", made.home.folder, "second", "--yes")
    (aside,) = made.home.removed.iterdir()
    assert f"removed second; its plan, bundle and results lie in {aside}" in said
    assert "found 'second'; there are: tiny" in told(capfd, "study", "remove", made.home.folder, "second", code=1)


def test_commands_about_a_run_want_a_name_where_there_is_a_choice(made: Lab, capfd: pytest.CaptureFixture[str]) -> None:
    folder = made.home.folder
    with hold_lock(made.home.up_lock, ExpectedError("taken")):
        for command in ("run", "stop", "report"):
            said = told(capfd, command, folder, code=1)
            assert "has 2 and 0 are under way; give --study NAME, one of: second, tiny" in said
        told(capfd, "run", folder, "--study", "second", "--detach")
        assert read_order(second(made)) is not None
        assert read_order(made.study) is None or made.study.name == "second"
        told(capfd, "run", folder, "--study", "tiny", "--after", "second", "--detach")
        order = read_order(StudyFolder(made.home, "tiny"))
        assert order is not None
        assert order.after == "second"
        assert "second cannot wait for tiny" in told(
            capfd, "run", folder, "--study", "second", "--after", "tiny", "--detach", code=1
        )
        assert "found 'third'" in told(capfd, "run", folder, "--study", "tiny", "--after", "third", code=1)
    assert "no round is finished yet in" in told(capfd, "report", folder, "--study", "tiny", code=1)


def test_status_shows_all_studies_or_the_one_that_is_named(made: Lab, capfd: pytest.CaptureFixture[str]) -> None:
    folder = made.home.folder
    said = told(capfd, "status", folder)
    assert "study second; run: none study tiny; run: none" in said
    assert "study tiny" not in told(capfd, "status", folder, "--study", "second")
    assert "found 'third'" in told(capfd, "status", folder, "--study", "third", code=1)
    both = json.loads(told(capfd, "status", folder, "--json"))
    assert [(one["study"], one["run"]["phase"]) for one in both["studies"]] == [("second", "none"), ("tiny", "none")]
    one = json.loads(told(capfd, "status", folder, "--study", "tiny", "--json"))
    assert both["studies"][1].items() <= one.items()
    gauges = told(capfd, "status", folder, "--prometheus")
    assert 'ceus_run{study="second",phase="none"} 1 ceus_run{study="tiny",phase="none"} 1' in gauges


def test_preflight_looks_at_every_plan_or_at_the_one_that_is_named(
    made: Lab, capfd: pytest.CaptureFixture[str]
) -> None:
    second(made).plan.write_text("name: other\nstages:\n  - {stage: hello}\n")
    found = json.loads(told(capfd, "preflight", made.home.folder, "--json", code=1))
    plans = {one["name"]: one["state"] for one in found["findings"] if one["name"].startswith("plan of")}
    assert plans == {"plan of second": "fault", "plan of tiny": "ok"}
    found = json.loads(told(capfd, "preflight", made.home.folder, "--study", "tiny", "--json", code=1))
    assert [one["name"] for one in found["findings"] if one["name"].startswith("plan of")] == ["plan of tiny"]


def test_the_next_command_names_the_study_where_there_are_more(made: Lab, capfd: pytest.CaptureFixture[str]) -> None:
    folder = made.home.folder
    with hold_lock(made.home.up_lock, ExpectedError("taken")):
        assert f"ceus-coordinator run {folder} --study second" in told(capfd, "study", "list", folder)
        order = order_run(StudyFolder(made.home, "tiny"))
        write_state(StudyFolder(made.home, "tiny"), State(order=order.id, phase="running"))
        assert f"next: ceus-coordinator status {folder} --study tiny follows" in told(capfd, "study", "list", folder)
