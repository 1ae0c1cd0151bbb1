"""`ceus-site approve` in words: what a study asks, what changed, what waits, and an alarm that is no question."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from loaded_modules import loaded
from made_bundles import files_of, packed, signed_bundle
from made_federation import DAY, Lab, lab
from small_hospital import SmallHospital

from ceus_models.pki.keys import generate_key
from ceus_models.runtime.exit_codes import run_app
from client.cli.main import app
from client.courier.fab import find_trust
from client.courier.folder import CourierFolder, courier_of
from client.courier.kit import kit_of
from client.courier.waiting import keep_waiting, note_alarm
from client.policy.approved_studies import read_approved
from client.worker.audit.log import entries

PLAN = """name: liver
processing: {size: 48}
stages:
  - {stage: hello}
  - {stage: statistics}
  - stage: train
    name: submodels
    nets: [submodels]
    cohorts: [training_a]
    rounds: 2
    rule: {epochs: 1, learning_rate: 0.01}
  - {stage: evaluate, name: test, nets: [submodels], cohorts: [training_a]}
"""
LONGER = PLAN.replace("rounds: 2", "rounds: 30").replace("stage: evaluate,", "stage: evaluate, level: sums,")
Run = Callable[..., str]


@pytest.fixture
def co(tmp_path: Path) -> Lab:
    return lab(tmp_path / "co")


@pytest.fixture
def folder(tmp_path: Path, co: Lab) -> Path:
    made = tmp_path / "hospital"
    made.mkdir()
    SmallHospital(made, 1).write()
    co.joined(made)
    return made


@pytest.fixture
def run(folder: Path, capfd: pytest.CaptureFixture[str]) -> Run:
    def told(command: str, *arguments: object, code: int = 0) -> str:
        found = run_app(app, [command, str(folder), *map(str, arguments)])
        said = capfd.readouterr()
        assert found == code, said.out + said.err
        return said.out + said.err

    return told


def arrive(folder: Path, *bundles: bytes) -> CourierFolder:
    courier = courier_of(folder)
    kit = kit_of(courier)
    assert kit
    for bundle in bundles:
        keep_waiting(courier, bundle, find_trust(kit))
    return courier


def test_a_study_is_read_in_words_within_80_columns_and_its_digest_is_one_line(co: Lab, folder: Path, run: Run) -> None:
    arrive(folder, co.bundle(PLAN))
    said = run("approve", "--yes")
    words = " ".join(said.split())
    for part in (
        "Study liver",
        "4 stages, 5 rounds: hello, statistics, submodels, test",
        "3. submodels: training, 2 rounds",
        "FedAvg, 1 epoch of batches of 8 at each site, SGD, learning rate 0.01, momentum 0.9",
        "how training here changes each net, with the number of lesions and their mean loss",
        "no noise hides a patient in statistics, submodels, test",
        "none: the coordinator sees this hospital's own sums",
        "unknown: no such task was answered here yet",
        "GB to this site",
        "It is the first plan of this study that is approved here.",
        "Signed by the coordinator of lab on",
        "approved: study liver, by",
    ):
        assert part in words, part
    lines = said.partition("\napproved:")[0].splitlines()
    assert lines[-1].startswith("SHA-256 ")
    assert max(len(line) for line in lines[:-1]) <= 80


def test_what_changed_is_told_a_line_each_and_an_ordinary_change_is_no_alarm(co: Lab, folder: Path, run: Run) -> None:
    arrive(folder, co.bundle(PLAN))
    run("approve", "--yes")
    arrive(folder, co.bundle(LONGER, made=co.now + DAY))
    said = run("approve", "--yes")
    assert "   submodels: rounds 2 → 30\n   test: privacy level none → sums\n" in said
    assert "ALARM" not in said
    assert "Nothing changed" in run("approve", _digits(folder), "--yes")


def _digits(folder: Path) -> str:
    """Of the approved bundle, which lies among those that waited; its whole file."""
    newest = max(courier_of(folder).waiting.iterdir(), key=lambda path: path.stat().st_mtime_ns)
    return str(newest)


def test_the_plan_lies_beside_the_records_and_is_answered_until_it_is_taken_back(
    co: Lab, folder: Path, run: Run
) -> None:
    arrive(folder, co.bundle(PLAN), co.bundle(PLAN.replace("liver", "lung")))
    assert "2 bundles wait: l" in run("approve", "--yes", code=1)
    for path in courier_of(folder).waiting.iterdir():
        run("approve", path.stem[:10], "--yes")
    known = read_approved(folder / "records")
    assert sorted(known.in_force().values()) == ["liver", "lung"]
    for digest, name in known.in_force().items():
        assert json.loads((folder / "records/plans" / f"{digest}.json").read_text())["name"] == name
    assert "no longer approved: study lung" in run("disapprove", "lung")
    assert list(read_approved(folder / "records").in_force().values()) == ["liver"]
    assert set(read_approved(folder / "records").names().values()) == {"liver", "lung"}, "the name stays known"
    assert "no study 'lung' is approved here; approved are: liver" in run("disapprove", "lung", code=1)
    assert "no bundle waits for approval here; refused or taken back were" in run("approve", "--yes", code=1)


def test_a_bundle_that_waits_can_be_refused_and_approved_later(co: Lab, folder: Path, run: Run) -> None:
    courier = arrive(folder, co.bundle(PLAN))
    (path,) = courier.waiting.iterdir()
    assert "refused: study liver" in run("disapprove", path.stem[:8])
    assert "no bundle waits" in run("approve", code=1)
    run("approve", path.stem[:8], "--yes")
    actions = [(entry["action"], entry["name"]) for entry in entries(folder / "records")]
    assert actions == [("refuse", "liver"), ("approve", "liver")]


def test_two_people_must_approve_before_the_worker_answers(
    co: Lab, folder: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrive(folder, co.bundle(PLAN))
    run("reviewers", 2)
    run("approve", "--yes")
    assert read_approved(folder / "records").in_force() == {}
    monkeypatch.setattr("client.cli.approval.read_account", lambda: "another")
    run("approve", "--yes")
    assert list(read_approved(folder / "records").in_force().values()) == ["liver"]
    run("reviewers", 3)
    assert read_approved(folder / "records").in_force() == {}


@pytest.mark.parametrize("yes", ["--yes", ""])
def test_a_bundle_from_elsewhere_is_an_alarm_and_nobody_is_asked(co: Lab, folder: Path, run: Run, yes: str) -> None:
    bundle = folder.parent / "foreign"
    bundle.write_bytes(signed_bundle(PLAN, key=generate_key(), federation=co.identity))
    said = run("approve", bundle, *filter(None, [yes]), code=1)
    assert said.startswith("ALARM: expected a study that lab's coordinator signed")
    assert "Let it run here" not in said
    assert not (folder / "courier" / "approved.json").exists()
    assert not (folder / "records" / "approved.json").exists()


def test_an_older_bundle_is_refused_with_its_remedy(co: Lab, folder: Path, run: Run) -> None:
    bundle = folder.parent / "old"
    bundle.write_bytes(packed({"pyproject.toml": files_of(co.bundle(PLAN))["pyproject.toml"]}))
    said = run("approve", bundle, code=1)
    assert "ceus-coordinator init" in said
    assert "ALARM" not in said


def test_an_alarm_is_shown_and_fails_health_until_it_was_seen(co: Lab, folder: Path, run: Run) -> None:
    courier = arrive(folder, co.bundle(PLAN))
    note_alarm(courier, b"bundle", "it was signed by somebody else", co.now)
    assert "ALARM: a bundle from elsewhere came on" in run("approve", "--yes")
    said = run("health", "--part", "courier", code=1)
    assert "FAULT ALARM: a bundle from elsewhere came" in said
    assert f"\nceus-site approve {folder} --seen\n" in said, "the command stands alone and can be copied"
    run("approve", "--seen")
    assert "ALARM" not in run("health", "--part", "courier", code=1)
    assert [entry["action"] for entry in entries(folder / "records")] == ["approve", "alarm seen"]


def test_health_and_preflight_say_what_waits(co: Lab, folder: Path, run: Run) -> None:
    arrive(folder, co.bundle(PLAN))
    said = run("health", "--part", "courier", code=1)
    assert f"waits for approval, until then its tasks are refused\nceus-site approve {folder}\n" in said
    said = run("serve", code=1)
    assert f"every message would be refused\nceus-site approve {folder}\n" in said


def test_what_a_terminal_would_obey_is_not_shown(co: Lab, folder: Path, run: Run) -> None:
    bundle = folder.parent / "odd"
    bundle.write_bytes(co.bundle(PLAN.replace("name: test", 'name: "\\e[2Jtest"')))
    said = run("approve", bundle, "--yes", code=1)
    assert "\x1b[2J" not in said
    assert "expected a plan of printable text in JSON" in said


def test_index_and_show_take_the_settings_of_the_studies(
    co: Lab, folder: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrive(folder, co.bundle(PLAN.replace("size: 48", "size: 40, frames_to_peak: 8, frames_after: 4, flow_maps: 3")))
    run("index", "--workers", 1)
    made = json.loads((folder / ".ceus/index.json").read_text())["settings"]
    assert made["size"] == 40, "of the bundle that waits"
    run("approve", "--yes")
    arrive(folder, co.bundle(PLAN.replace("liver", "lung")))
    newest = max(courier_of(folder).waiting.iterdir(), key=lambda path: path.stat().st_mtime_ns)
    run("approve", newest.stem[:12], "--yes")
    said = run("index", code=1)
    assert "the studies liver, lung want different samples; say whose with --study NAME" in said
    assert "found 'bone'; known are liver, lung" in run("index", "--study", "bone", code=1)
    run("index", "--study", "liver", "--workers", 1)
    assert json.loads((folder / ".ceus/index.json").read_text())["settings"]["size"] == 40


def test_a_private_plan_is_shown_with_its_privacy_and_without_torch(co: Lab, folder: Path) -> None:
    plan = (Path(__file__).parents[3] / "configs" / "plan.private.yaml").read_text()
    arrive(folder, co.bundle(plan))
    assert loaded("client", "approve", folder, "--yes") == "code 0, loaded []"
    assert list(read_approved(folder / "records").in_force().values()) == ["private"]
