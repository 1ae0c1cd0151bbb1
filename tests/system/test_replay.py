"""The whole study on phantom hospitals, as its user runs it: same numbers for any workers, and after any kill."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from sklearn.metrics import confusion_matrix

from ceus_models.bundle.model_bundle import load_bundle
from ceus_models.plan.plan import load_plan
from ceus_models.plan.rounds.any_stage import find_rounds
from ceus_models.plan.wire_nets import on_wire, submodels
from ceus_models.study.taxonomy import FUSION_NETS, LESION_TYPES, STRATEGY_A, SUBMODELS
from client.cli.main import app
from client.data.dataset.samples import load_samples
from client.data.forms.site_config import load_site, make_pseudonym
from client.data.table.manifest import read_manifest
from client.worker.tasks.inference import by_cohort, nets_of
from client.worker.tasks.place import Place
from client.worker.tasks.site_memory import SiteMemory
from server.rounds.saving.checkpoints import Store
from sim.hospital.prepare import HOSPITALS

PLAN = Path(__file__).parents[2] / "configs" / "plan.smoke.yaml"
COMMAND = Path(sys.executable).parent / "ceus-sim"
pytestmark = pytest.mark.timeout(900)


def ceus_sim(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([COMMAND, *map(str, arguments)], capture_output=True, text=True, check=False)


def results_of(out: Path) -> dict[str, Any]:
    found = json.loads((out / "results.json").read_text())
    assert isinstance(found, dict)
    return found


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run with one worker."""
    out = tmp_path_factory.mktemp("undisturbed")
    done = ceus_sim("run", PLAN, "--out", out, "--seed", 3, "--workers", 1)
    assert done.returncode == 0, done.stderr
    assert str(out / "report.html") in done.stdout
    return out


def killed(out: Path, kind: str) -> None:
    script = Path(__file__).parents[1] / "support" / "killed_run.py"
    command: Sequence[object] = (sys.executable, script, PLAN, out, 3, 2, kind)
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr


def same_hospitals(undisturbed: Path, out: Path) -> None:
    for name in (HOSPITALS, "truth"):
        shutil.copytree(undisturbed / name, out / name, ignore=shutil.ignore_patterns("memory"))


def compared(out: Path) -> dict[str, Any]:
    """The results without what may differ: times, and how many workers there were."""
    found = results_of(out)
    for name in ("stages", "workers", "link"):
        del found[name]
    for record in found["participation"]:
        for name in ("seconds", "software", "received"):  # sites in memory state neither software nor an audit
            del record[name]
    return found


def test_results_hold_what_the_readme_promises(undisturbed: Path) -> None:
    found = results_of(undisturbed)
    for cohort in ("internal_test", "external_test_a", "external_test_b", "external_test_c"):
        assert set(found["cohorts"][cohort]["models"]) == {"D", "DC", "DB", "DCB"}
        for model in found["cohorts"][cohort]["models"].values():
            assert set(model["accuracy"]) == {"value", "low", "high", "n"}
    assert set(found["digests"]) == {*SUBMODELS, STRATEGY_A, *FUSION_NETS}
    assert all(record["counted"] for record in found["participation"])
    assert all(entry["peak_memory_mb"] >= 0 for entry in found["stages"].values())
    assert {"hospitals", "submodels", "fusion", "test"} <= set(found["stages"])
    page = (undisturbed / "report.html").read_text()
    assert page.count("<svg") >= 10
    assert "http://" not in page.replace("http://www.w3.org", "")


def test_the_bundle_gives_the_very_counts_of_the_report(undisturbed: Path) -> None:
    """Pooled rows, read from the hospitals' own caches, against the confusion matrix that came from sums."""
    plan, bundle = load_plan(PLAN), load_bundle(undisturbed / "bundle")
    sites = [load_site(folder) for folder in sorted((undisturbed / HOSPITALS).glob("site-*"))]
    samples = [s for site in sites for s in load_samples(site, plan.processing) if s.cohort == "external_test_c"]
    predicted = np.concatenate([bundle.predict([sample]) for sample in samples]).argmax(1)
    expected = confusion_matrix([s.label for s in samples], [LESION_TYPES[i] for i in predicted], labels=LESION_TYPES)
    model = results_of(undisturbed)["cohorts"]["external_test_c"]["models"]["DCB"]
    assert model["confusion"] == expected.tolist()


def test_predict_gives_the_probabilities_of_the_evaluation(undisturbed: Path, tmp_path: Path) -> None:
    """`ceus-site predict` on a hospital's files against the site's own scoring of the evaluation's task, lesion by
    lesion, on a cohort that no net was trained on.
    """
    plan = load_plan(PLAN)
    progress = Store(undisturbed).latest(plan.digest(), 3)
    assert progress is not None
    stage = next(stage for stage in plan.stages if stage.name == "test")
    task = find_rounds(stage).task(progress, plan.study(3))
    task = replace(task, inputs={**task.inputs, **on_wire(submodels(progress))})
    compared = 0
    for folder in sorted((undisturbed / HOSPITALS).glob("site-*")):
        site, place = load_site(folder), Place(folder.name, SiteMemory(tmp_path / folder.name))
        samples = by_cohort(load_samples(site, plan.processing)).get("external_test_c", [])
        lines = {make_pseudonym(site, "lesion", row.lesion_id): row.line for row in read_manifest(site).rows}
        for place_in_cohort, sample in enumerate(samples):
            expected = nets_of(task, place).probabilities("fusion/DCB", samples)[place_in_cohort]
            below = nets_of(task, place).frozen_probabilities(samples)[place_in_cohort]
            command = ["predict", folder, "--bundle", undisturbed / "bundle", "--out", tmp_path / "answers"]
            done = CliRunner().invoke(app, [*map(str, command), "--lesion", str(lines[sample.key])])
            assert done.exit_code == 0, done.output
            found = json.loads((tmp_path / "answers" / f"{sample.key}.json").read_text())
            assert [found["probabilities"][name] for name in LESION_TYPES] == pytest.approx(expected, abs=1e-5)
            assert [net["probability"] for net in found["nets"].values()] == pytest.approx(below, abs=1e-5)
            compared += 1
    assert compared == 10


def test_two_workers_and_a_kill_during_training_change_nothing(undisturbed: Path, tmp_path: Path) -> None:
    same_hospitals(undisturbed, tmp_path)
    killed(tmp_path, "train")
    assert not (tmp_path / "results.json").exists()
    done = ceus_sim("run", PLAN, "--out", tmp_path, "--seed", 3, "--workers", 2)
    assert done.returncode == 0, done.stderr
    assert compared(tmp_path) == compared(undisturbed)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["hospitals", "hello", "tally", "evaluate"])
def test_a_kill_during_any_kind_of_stage_changes_nothing(undisturbed: Path, tmp_path: Path, kind: str) -> None:
    if kind != "hospitals":
        same_hospitals(undisturbed, tmp_path)
    killed(tmp_path, kind)
    done = ceus_sim("run", PLAN, "--out", tmp_path, "--seed", 3, "--workers", 2)
    assert done.returncode == 0, done.stderr
    assert compared(tmp_path) == compared(undisturbed)


@pytest.mark.slow
def test_flower_processes_give_the_same_numbers(undisturbed: Path, tmp_path: Path) -> None:
    same_hospitals(undisturbed, tmp_path)
    done = ceus_sim("run", PLAN, "--out", tmp_path, "--seed", 3, "--link", "processes")
    assert done.returncode == 0, done.stderr
    assert compared(tmp_path) == compared(undisturbed)


def test_another_seed_in_the_same_folder_is_refused(undisturbed: Path, tmp_path: Path) -> None:
    shutil.copytree(undisturbed, tmp_path / "run", ignore=shutil.ignore_patterns(HOSPITALS, "truth"))
    same_hospitals(undisturbed, tmp_path / "run")
    done = ceus_sim("run", PLAN, "--out", tmp_path / "run", "--seed", 4, "--workers", 1)
    assert done.returncode == 1
    assert "Error:" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_plan_that_cannot_be_simulated_is_refused_at_once(tmp_path: Path) -> None:
    plan = tmp_path / "plan.yaml"
    plan.write_text(PLAN.read_text().replace("pane_px", "pane").replace("training_a: 30", "training_z: 30"))
    done = ceus_sim("run", plan, "--out", tmp_path / "run")
    assert done.returncode == 1
    assert "simulation.phantom.pane" in done.stderr


def test_the_split_at_paper_scale_is_the_studys() -> None:
    done = ceus_sim("centers", "--scale", "paper", "--json")
    found = json.loads(done.stdout)
    assert found["cohorts"]["training_a"]["lesions"] == 2088
    assert found["cohorts"]["external_test_c"]["fll_type"]["OT"] == 22
    assert len(found["centers"]) == 52
