"""`ceus-coordinator init --set … --plan …`: the federation in one command."""

from __future__ import annotations

from pathlib import Path

import pytest
from coordinator_commands import told
from made_federation import PLAN

from ceus_models.runtime.errors import ExpectedError
from server.federation.federation_file import load_federation
from server.federation.federation_form import fill_example, parse_filled

FILLED = ["name=lab", "address=localhost:9443", "sites=[site-01, site-02, site-03]"]


def test_the_example_keeps_its_comments(tmp_path: Path) -> None:
    path = tmp_path / "federation.yaml"
    path.write_bytes(fill_example(parse_filled([*FILLED, "superlink_port=9000"])))
    found = load_federation(path)
    assert (found.name, found.port, found.superlink_port, found.seed) == ("lab", 9443, 9000, 1)
    assert found.sites == ("site-01", "site-02", "site-03")
    assert path.read_text().count("#") == fill_example({}).decode().count("#")


@pytest.mark.parametrize(
    ("settings", "rule"),
    [
        (["adress=x:1"], "KEY=VALUE with a key of schema, name, address, .*, found 'adress'"),
        ([*FILLED, "seed"], "found 'seed'"),
        (FILLED[:1], "for each of name, address, sites, found none for address"),
        ([*FILLED, "seed=1\nnames: [x]"], "found 'seed'"),
    ],
)
def test_another_form_is_refused(settings: list[str], rule: str) -> None:
    with pytest.raises(ExpectedError, match=rule):
        parse_filled(settings)


def test_one_command_founds_a_federation_and_does_not_change_it(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    plan, folder = tmp_path / "mine.yaml", tmp_path / "co"
    plan.write_text(PLAN)
    options = [word for one in FILLED for word in ("--set", one)]
    assert "federation: lab:" in told(capfd, "init", folder, *options, "--plan", plan)
    assert (folder / "plan.yaml").read_text() == PLAN
    assert "change it there, and leave out --set" in told(capfd, "init", folder, *options, code=1)
    plan.write_text(PLAN.replace("name: ", "name: other-"))
    assert "found another plan; edit that one" in told(capfd, "init", folder, "--plan", plan, code=1)
    assert (folder / "plan.yaml").read_text() == PLAN


def test_a_faulty_plan_is_not_copied(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    plan = tmp_path / "mine.yaml"
    plan.write_text("name: x\nstages: []\n")
    told(capfd, "init", tmp_path / "co", "--plan", plan, code=1)
    assert not (tmp_path / "co").exists()
