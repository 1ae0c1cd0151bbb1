"""What a rehearsal needs before it starts, and the policies under which its plan is answered."""

from __future__ import annotations

import io
from dataclasses import replace
from importlib import resources
from pathlib import Path

import pytest
from rich.console import Console

from ceus_models.runtime.errors import ExpectedError
from ceus_models.runtime.process_tree import ProcessGroup
from client.policy.policy_file import load_policy
from sim.rehearsal import rehearsal
from sim.rehearsal.rehearsal import Rehearsal, allow_few_sites, check_ready
from sim.rehearsal.terminal import Terminal

PLAN = Path(__file__).parents[3] / "configs" / "plan.rehearsal.yaml"


@pytest.fixture
def made(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Rehearsal:
    monkeypatch.setattr(rehearsal, "find_nginx", lambda: "/usr/sbin/nginx")
    return Rehearsal(PLAN, tmp_path_factory.mktemp("r") / "out", 1, "safe")


def test_it_has_the_hospitals_of_its_plan_and_writes_nothing_yet(made: Rehearsal) -> None:
    assert [folder.name for folder in check_ready(made)] == ["site-41", "site-43", "site-46"]
    assert not made.out.exists()


def test_without_nginx_it_says_how_to_get_it(made: Rehearsal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rehearsal, "find_nginx", lambda: None)
    with pytest.raises(ExpectedError, match="apt-get install nginx-light"):
        check_ready(made)


def test_files_of_others_are_left_alone(made: Rehearsal) -> None:
    made.out.mkdir()
    (made.out / "notes.txt").write_text("mine")
    with pytest.raises(ExpectedError, match="expected a new folder, .* holds files; delete it"):
        check_ready(made)


def test_a_folder_too_deep_for_the_sites_sockets_is_refused_at_once(made: Rehearsal) -> None:
    with pytest.raises(ExpectedError, match=r"at most 100 bytes; choose a shorter one: .*site-41/run/worker\.state"):
        check_ready(replace(made, out=made.out / ("d" * 90)))


def test_the_policy_that_comes_with_a_site_allows_so_few_hospitals_with_two_lines(tmp_path: Path) -> None:
    folder = tmp_path / "site-41"
    folder.mkdir()
    example = resources.files("client.cli").joinpath("policy.example.yaml").read_bytes()
    (folder / "policy.yaml").write_bytes(example)
    out = io.StringIO()
    with ProcessGroup(tmp_path / "logs") as fleet:
        allow_few_sites([folder] * 3, Terminal(fleet, Console(file=out)))
    policy = load_policy(folder)
    assert policy.studies == "approved"
    assert [name for name, _ in policy.list_risks()] == ["privacy.minimum_sites"]
    changed = set((folder / "policy.yaml").read_text().splitlines()) - set(example.decode().splitlines())
    assert len(changed) == len(out.getvalue().splitlines()) - 1 == 2
