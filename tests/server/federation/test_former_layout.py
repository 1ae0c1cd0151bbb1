"""A folder as earlier versions made it moves over by itself, whatever is killed meanwhile, and its run goes on."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from coordinator_commands import told
from made_federation import PLAN, lab

from ceus_models.plan.plan import load_plan
from ceus_models.plan.progress import Progress
from ceus_models.runtime.errors import ExpectedError
from ceus_models.runtime.file_locks import hold_lock
from server.federation.former_layout import open_home
from server.rounds.saving.checkpoints import Store
from server.run_folder.journal import Journal
from server.run_folder.orders import State, order_run, read_state, write_state
from server.run_folder.paths import Home, StudyFolder
from server.run_folder.studies import list_studies, read_settings

DIES = """
import os, sys
from pathlib import Path
from server.federation.former_layout import open_home
left, rename = [int(sys.argv[2])], Path.replace
def replace(path, target):
    if not left[0]:
        os._exit(9)
    left[0] -= 1
    return rename(path, target)
Path.replace = replace
open_home(Path(sys.argv[1]))
"""
STEPS = 5
"""Renames: roster, run, settings, bundle, and the whole."""


@pytest.fixture
def former(tmp_path: Path) -> Path:
    """With a checkpoint, an order, and a roster beside them."""
    study = lab(tmp_path / "co").study
    order = order_run(study)
    write_state(study, State(order=order.id, phase="stopped", run=7))
    plan = load_plan(study.home.folder / "plan.yaml")
    Store(study.run).save(Progress(step=3), plan.digest(), 1)
    (study.run / "roster.json").write_text("the roster")
    folder = study.home.folder
    (folder / "study").mkdir()
    study.bundle.replace(folder / "study" / "bundle.fab")
    study.run.replace(folder / "run")
    shutil.rmtree(folder / "studies")
    return folder


def check_moved(folder: Path) -> None:
    (study,) = list_studies(Home(folder))
    assert (study.name, read_settings(study).plan, read_settings(study).seed) == ("tiny", "plan.yaml", 1)
    digest = load_plan(folder / "plan.yaml").digest()
    saved = Store(study.run).latest(digest, 1)
    assert saved is not None
    assert (saved.step, read_state(study).phase) == (3, "stopped")
    assert digest.encode() in study.bundle.read_bytes()
    assert (folder / "roster.json").read_text() == "the roster"
    assert not [name for name in ("run", "study") if (folder / name).exists()]
    assert [path.name for path in (folder / "studies").iterdir()] == ["tiny"]


def test_it_moves_over_and_its_checkpoints_go_on(former: Path) -> None:
    before = (former / "study" / "bundle.fab").read_bytes()
    home = open_home(former)
    check_moved(former)
    assert StudyFolder(home, "tiny").bundle.read_bytes() == before, "the sites have approved these bytes"
    open_home(former)
    check_moved(former)


@pytest.mark.parametrize("steps", range(STEPS))
def test_a_kill_before_any_step_loses_nothing(former: Path, steps: int) -> None:
    done = subprocess.run([sys.executable, "-c", DIES, str(former), str(steps)], check=False)
    assert done.returncode == 9
    assert not list_studies(Home(former)), "no half study is seen"
    open_home(former)
    check_moved(former)


def test_there_are_no_more_steps(former: Path) -> None:
    subprocess.run([sys.executable, "-c", DIES, str(former), str(STEPS)], check=True)
    check_moved(former)


def test_a_run_that_never_began_moves_too(former: Path) -> None:
    shutil.rmtree(former / "run")
    (study,) = list_studies(open_home(former))
    assert (read_state(study).phase, study.bundle.exists()) == ("none", True)


def test_while_up_or_a_run_is_alive_nothing_moves(former: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.federation.former_layout.hold_lock", lambda path, busy: hold_lock(path, busy, 0.1))
    with hold_lock(Home(former).up_lock, ExpectedError("taken")), pytest.raises(ExpectedError, match="stop `ceus-coo"):
        open_home(former)
    with Journal(former / "run").hold(), pytest.raises(ExpectedError, match="a coordinator's process still runs"):
        open_home(former)
    assert (former / "study" / "bundle.fab").exists()


def test_any_command_moves_it(former: Path, capfd: pytest.CaptureFixture[str]) -> None:
    document = json.loads(told(capfd, "status", former, "--json"))
    assert (document["study"], document["run"]["phase"]) == ("tiny", "stopped")
    check_moved(former)


def test_a_plan_without_a_name_stops_it_before_anything_moves(former: Path) -> None:
    (former / "plan.yaml").write_text(PLAN.replace("name: tiny", "other: tiny"))
    with pytest.raises(ExpectedError, match="a plan has a name"):
        open_home(former)
    assert (former / "run").exists()
