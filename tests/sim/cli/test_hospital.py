"""`ceus-sim hospital`: phantom hospitals alone, which `ceus-site` takes as they are."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import pytest

import client.cli.main
import sim.cli.main
from ceus_models.runtime.exit_codes import run_app
from client.policy.policy_file import load_policy

SMOKE = Path(__file__).parents[3] / "configs" / "plan.smoke.yaml"
ONE = ("--center", "50", "--workers", "1")


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the smallest hospital, under the safe policy."""
    folder = tmp_path_factory.mktemp("out")
    assert write(folder, *ONE, "--policy", "safe") == 0
    return folder


def write(folder: Path, *options: str) -> int:
    return run_app(sim.cli.main.app, ["hospital", str(SMOKE), "--out", str(folder), *options])


def test_a_hospital_is_whole_and_its_own_commands_find_no_fault(out: Path, capfd: pytest.CaptureFixture[str]) -> None:
    folder = out / "hospitals" / "site-50"
    assert [path.name for path in sorted((out / "hospitals").iterdir())] == ["site-50"]
    named = {"clips", "outlines", "lesions.csv", "reads.csv", "site.yaml", "policy.yaml", "secret.key"}
    assert named <= {path.name for path in folder.iterdir()}
    assert (out / "truth" / "site-50.json").exists()
    assert run_app(client.cli.main.app, ["check", str(folder), "--json"]) == 0
    assert run_app(client.cli.main.app, ["index", str(folder), "--plan", str(SMOKE), "--workers", "1"]) == 0
    assert "skipped: 0" in capfd.readouterr().out


def test_the_same_command_keeps_it_with_the_policy_that_it_has(out: Path, capfd: pytest.CaptureFixture[str]) -> None:
    policy = out / "hospitals" / "site-50" / "policy.yaml"
    assert policy.read_bytes() == resources.files("client.cli").joinpath("policy.example.yaml").read_bytes()
    policy.write_text("schema: 2\nstudies: {}\n")
    assert write(out, *ONE, "--policy", "open") == 0
    assert policy.read_text() == "schema: 2\nstudies: {}\n"
    told = capfd.readouterr()
    assert "9 lesions, kept as it was" in told.out
    assert "policy" not in told.out
    assert told.err.splitlines()[-1] == f"next: ceus-site check {policy.parent}"


def test_the_open_policy_says_what_it_risks(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert write(tmp_path, *ONE) == 0
    assert load_policy(tmp_path / "hospitals" / "site-50").studies is None
    assert "accept_risk: Phantoms of a simulation" in capfd.readouterr().out


def test_what_is_there_of_another_seed_is_not_replaced(out: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert write(out, *ONE, "--seed", "2") == 1
    assert "site-50 is of another; give the plan and the seed" in " ".join(capfd.readouterr().err.split())


def test_a_center_that_the_plan_lacks_is_named(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert write(tmp_path / "out", "--center", "5") == 1
    assert "expected a center of this plan (1, 2, 37, 38, 50, 51, 52), found 5" in capfd.readouterr().err
    assert not (tmp_path / "out").exists()
