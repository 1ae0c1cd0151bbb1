"""Experiments as their user runs them, on the hospitals of one small run."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from sklearn.metrics import roc_auc_score

from ceus_models.bundle.model_bundle import load_bundle
from ceus_models.plan.plan import load_plan
from ceus_models.runtime.errors import ExpectedError
from ceus_models.runtime.exit_codes import run_app
from ceus_models.study.targets import find_target
from ceus_models.study.taxonomy import SUBMODELS
from client.data.analysis.pipeline import open_row, sample_from_clips, trace_outline
from client.data.dataset.index_file import read_index
from client.data.dataset.samples import load_samples
from client.data.forms.site_config import load_site, make_pseudonym
from client.data.table.manifest import read_manifest
from server.report.values import COHORT_TITLES
from server.rounds.saving.checkpoint_header import read_newest
from sim.cli.main import app
from sim.experiments.arms import ExperimentRequest
from sim.experiments.entry import Entry
from sim.experiments.experiment import run_experiment
from sim.runs.baselines import POOLED, list_baselines
from sim.runs.run import RunObserver, RunSettings, run_study

ROOT = Path(__file__).parents[3]
SEED = 3
DISEASE = {
    "drop": ["strategy_a", "fusion", "test"],
    "set": {"stages.submodels.nets": ["disease"], "stages.modules.nets": ["disease"]},
}
"""An arm that trains the five disease nets only, as most shipped experiments do."""


def _quiet(*_: object) -> None:
    pass


@contextmanager
def watch(label: str) -> Iterator[RunObserver]:
    yield RunObserver(_quiet, _quiet)


@contextmanager
def counted(what: str) -> Iterator[Callable[[int, int], None]]:
    yield _quiet


def request(run: Path, plan: Path | None = None, seed: int = SEED) -> ExperimentRequest:
    return ExperimentRequest(run, plan, seed, 1, {}, watch, counted)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A plan of three centers and one round, and its finished run."""
    values = yaml.safe_load((ROOT / "configs" / "plan.smoke.yaml").read_text())
    values["simulation"]["centers"] = [1, 37, 50]
    values["quorum"]["sites"] = 1
    values["simulation"]["lesions"] = {"training_a": 10, "validation": 4, "training_b": 8, "internal_test": 6}
    for stage in values["stages"]:
        stage.update({"rounds": 1} if stage["stage"] == "train" else {})
        stage.update({"cohorts": ["internal_test"]} if stage.get("name") == "test" else {})
        stage.update({"paired_replicates": 50} if stage["stage"] == "evaluate" else {})  # so that arms reuse the run
    folder = tmp_path_factory.mktemp("small")
    plan, run = folder / "plan.yaml", folder / "run"
    plan.write_text(yaml.safe_dump(values))
    run_study(RunSettings(plan, run, SEED, 1), RunObserver(_quiet, _quiet))
    return plan, run


def file_of(folder: Path, name: str, **values: object) -> str:
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump({"title": name, "cohorts": ["internal_test"], **values}))
    return str(path)


def result_of(run: Path, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((run / "experiments" / name / "result.json").read_text())
    return found


def is_published(run: Path, name: str, entry: Entry) -> None:
    """The files are there, and results.json holds the entry as they do."""
    folder = run / "experiments" / name
    with (folder / "table.csv").open() as file:
        table = list(csv.reader(file))
    assert table[0] == list(entry.columns)
    assert len(table) == len(entry.rows) + 1
    assert (folder / "figure.svg").read_text().startswith("<svg")
    shown = json.loads((run / "results.json").read_text())["experiments"][name]
    assert set(shown) == {"title", "columns", "rows", "figure", "finding"}
    assert shown == result_of(run, name)["entry"]
    assert shown["rows"] == [list(row) for row in entry.rows]


def test_arms_share_the_hospitals_and_are_trained_once(small: tuple[Path, Path], tmp_path: Path) -> None:
    plan, run = small
    maps = {**DISEASE, "set": {**DISEASE["set"], "processing.flow_maps": 3}}
    arms = [{"label": "as is", "x": 2}, {"label": "three maps", "x": 3, **maps}]
    shown = {"net": "disease/five", "cohorts": ["validation"]}
    name = file_of(tmp_path, "maps", kind="training", axis="maps", arms=arms, **shown)
    read_before = read_index(load_site(run / "hospitals" / "site-01")).digest
    entry = run_experiment(name, request(run, plan))
    is_published(run, "maps", entry)
    assert entry.figure is not None
    assert entry.figure["kind"] == "lines"
    (trained,) = (run / "experiments" / "maps" / "arms").iterdir()  # the first arm is the run itself
    assert result_of(run, "maps")["arms"][0]["folder"] == "."
    other = load_site(trained / "hospitals" / "site-01")
    assert other.table.resolve() == (run / "hospitals" / "site-01" / "lesions.csv").resolve()
    assert load_samples(other, read_index(other).processing)[0].flow.shape[0] == 3
    assert read_index(load_site(run / "hospitals" / "site-01")).digest == read_before
    checkpoints = {path: path.stat().st_mtime_ns for path in trained.glob("progress-*")}
    assert checkpoints
    assert run_experiment(name, request(run, plan)).rows == entry.rows
    assert {path: path.stat().st_mtime_ns for path in trained.glob("progress-*")} == checkpoints


def test_separate_nets_and_a_trunk_are_compared_by_output_and_cost(small: tuple[Path, Path], tmp_path: Path) -> None:
    plan, run = small
    arms = [{"label": "separate"}, {"label": "trunk", "set": {"sharing": "trunk"}}]
    more = {"beside": ["fusion/D"], "submodel_auc": True, "costs": True}
    name = file_of(tmp_path, "shared", kind="training", arms=arms, **more)
    entry = run_experiment(name, request(run, plan))
    is_published(run, "shared", entry)
    (trained,) = (run / "experiments" / "shared" / "arms").iterdir()
    measures = list(dict.fromkeys(row[0] for row in entry.rows))
    assert measures[:2] == ["accuracy of fusion/DCB", "accuracy of fusion/D"]
    assert measures[2:] == [*(f"AUC of {net}" for net in SUBMODELS), "MB of a site", "processor minutes"]
    assert all([row[2] for row in entry.rows if row[0] == name] == ["separate", "trunk"] for name in measures)
    for label, place in (("separate", run), ("trunk", trained)):
        bundle, known = load_bundle(place / "bundle"), []
        for folder in sorted((place / "hospitals").glob("site-*")):
            site = load_site(folder)
            known += [s for s in load_samples(site, read_index(site).processing) if s.cohort == "internal_test"]
        right = [find_target("disease/HCC", sample) for sample in known]
        scores = [p for p, t in zip(bundle.predict(known, "disease/HCC")[:, 0], right, strict=True) if t is not None]
        expected = roc_auc_score([t for t in right if t is not None], scores)
        (row,) = (row for row in entry.rows if row[0] == "AUC of disease/HCC" and row[2] == label)
        assert row[4] == pytest.approx(expected, abs=5e-5)
    separate, trunk = ([row[4] for row in entry.rows if row[2] == label][-2:] for label in ("separate", "trunk"))
    assert 0 < trunk[0] < separate[0] / 2  # strategy A and the fusion nets stay
    assert trunk[1] > 0
    assert "MB of a site: separate" in entry.finding


def test_hospitals_of_another_plan_are_refused_and_kept(small: tuple[Path, Path], tmp_path: Path) -> None:
    _, run = small
    arms = [{"label": "a"}, {"label": "b", "set": {"stages.submodels.rule.epochs": 2}}]
    name = file_of(tmp_path, "other", kind="training", arms=arms)
    before = sorted(path.name for path in (run / "hospitals" / "site-01" / "clips").iterdir())
    for plan, seed in ((ROOT / "configs" / "plan.smoke.yaml", SEED), (small[0], SEED + 1)):
        with pytest.raises(ExpectedError, match="expected hospitals of this plan, seed and version"):
            run_experiment(name, request(run, plan, seed))
    assert sorted(path.name for path in (run / "hospitals" / "site-01" / "clips").iterdir()) == before


def test_four_models_are_those_of_the_results(
    small: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, run = small
    name = file_of(tmp_path, "four", kind="models")
    entry = run_experiment(name, request(run))
    assert run_app(app, ["experiment", name, "--out", str(run), "--seed", str(SEED)]) == 0
    told = capsys.readouterr().out
    assert all(f"{row[4]:.3f} to {row[5]:.3f}" in told for row in entry.rows if row[4] is not None)
    is_published(run, "four", entry)
    models = json.loads((run / "results.json").read_text())["cohorts"]["internal_test"]["models"]
    for row in entry.rows:
        accuracy = models[row[1]]["accuracy"]
        assert row[2] == accuracy["n"]
        assert row[3:6] == [round(accuracy[end], 4) for end in ("value", "low", "high")]
    with pytest.raises(ExpectedError, match="expected no --plan and no --set"):
        run_experiment(file_of(tmp_path, "four", kind="models"), request(run, small[0]))


def test_strategies_a_and_b_are_compared_on_the_same_lesions(small: tuple[Path, Path]) -> None:
    _, run = small
    entry = run_experiment(str(ROOT / "configs" / "experiments" / "strategies.yaml"), request(run))
    is_published(run, "strategies", entry)
    a, b = entry.rows
    assert (a[1], b[1]) == ("A, one net of five classes", "B, five binary nets")
    (pair,) = json.loads((run / "results.json").read_text())["pairs"]["validation"]
    assert {pair["first"], pair["second"]} == {"disease/all", "disease/five"}
    assert b[-1] == pair["p"]
    assert b[2] == pair["n"]
    assert "The study:" in entry.finding


def test_prevalence_asks_the_nets_once_and_repeats_itself(small: tuple[Path, Path], tmp_path: Path) -> None:
    _, run = small
    scenarios = [{"label": "rare", "malignant": 1, "benign": 9}, {"label": "even", "malignant": 1, "benign": 1}]
    name = file_of(tmp_path, "rare", kind="prevalence", scenarios=scenarios, size=20, repeats=30, models=["D", "DCB"])
    entry = run_experiment(name, request(run))
    is_published(run, "rare", entry)
    assert [row[:2] for row in entry.rows] == [[s, m] for s in ("rare", "even") for m in ("D", "DCB")]
    assert entry.figure is not None
    assert all(len(point["samples"]) == 30 for point in entry.figure["points"])
    results = json.loads((run / "results.json").read_text())
    assert entry.details["whole"]["DCB"] == results["cohorts"]["internal_test"]["models"]["DCB"]["accuracy"]["value"]
    assert run_experiment(name, request(run)).rows == entry.rows


def test_the_original_outline_gives_the_very_sample_of_the_index(small: tuple[Path, Path]) -> None:
    _, run = small
    processing = load_bundle(run / "bundle").processing
    site = load_site(run / "hospitals" / "site-50")
    known = {sample.key: sample for sample in load_samples(site, processing)}
    row = next(row for row in read_manifest(site).rows if make_pseudonym(site, "lesion", row.lesion_id) in known)
    clips = open_row(row, site)
    for _ in range(2):  # the clips can be followed again and again
        made, _trace = sample_from_clips(trace_outline(clips, clips.polygon, row, processing), row, site, processing)
        assert made.content_digest == known[made.key].content_digest


def test_outlines_are_changed_and_what_is_done_is_kept(small: tuple[Path, Path], tmp_path: Path) -> None:
    _, run = small
    settings = {"changes": ["expand", "move"], "repeats": 2, "lesions": 2}
    name = file_of(tmp_path, "outlines", kind="outline", **settings)
    entry = run_experiment(name, request(run))
    is_published(run, "outlines", entry)
    assert [row[0] for row in entry.rows] == ["original", "expand", "move"]
    assert all(row[1] == 2 for row in entry.rows)
    kept = sorted((run / "experiments" / "outlines").glob("*/site-50-*.json"))
    assert len(kept) == 2
    answer = json.loads(kept[0].read_text())
    assert len(answer["expand"]) == len(answer["move"]) == 2
    kept[0].write_text(json.dumps({**answer, "original": answer["target"], "expand": [answer["target"]] * 2}))
    again = run_experiment(name, request(run))  # reads what is kept
    assert float(again.rows[1][3] or 0) >= 0.5


def test_a_pooled_arm_is_one_place_with_the_lesions_of_all(small: tuple[Path, Path], tmp_path: Path) -> None:
    plan, run = small
    arms = [{"label": "federated"}, {"label": "pooled", "pooled": True, **DISEASE}]
    shown = {"net": "disease/five", "cohorts": ["training_a", "validation"]}
    name = file_of(tmp_path, "one-place", kind="training", arms=arms, **shown)
    entry = run_experiment(name, request(run, plan))
    is_published(run, "one-place", entry)
    known = json.loads((run / "results.json").read_text())["nets"]["disease/five"]
    for row in entry.rows[:4]:
        assert row[2] == known[next(c for c, title in COHORT_TITLES.items() if title == row[0])]["n"]
    assert [row[1] for row in entry.rows] == ["federated", "pooled"] * 3  # of the two cohorts, and of both
    assert all(row[6] is not None for row in entry.rows if row[1] == "pooled")
    place = run / result_of(run, "one-place")["arms"][1]["folder"]
    progress = read_newest(place)
    assert progress is not None
    assert {record.registered for record in progress.participation} == {(POOLED,)}
    written = {path: path.stat().st_mtime_ns for path in place.glob("progress-*")}
    assert run_experiment(name, request(run, plan)).rows == entry.rows
    assert {path: path.stat().st_mtime_ns for path in place.glob("progress-*")} == written


def test_the_matrix_has_a_row_for_every_model_there_is(small: tuple[Path, Path], tmp_path: Path) -> None:
    plan, run = small
    path = tmp_path / "sites.yaml"
    path.write_text("kind: matrix\ntitle: sites\n")
    entry = run_experiment(str(path), request(run))
    is_published(run, "sites", entry)
    assert [row[0] for row in entry.rows] == ["federated"]
    found = json.loads((run / "results.json").read_text())["cohorts"]["internal_test"]["models"]["DCB"]["accuracy"]
    assert entry.rows[0][1] == round(found["value"], 4)
    assert "ceus-sim compare" in entry.finding
    assert entry.figure is not None
    assert entry.figure["flagged"] == [[True, True]]
    scored = {arm.name: arm.train() for arm in list_baselines(load_plan(plan), RunSettings(plan, run, SEED, 1))}
    assert list(scored) == [POOLED, "site-01"]
    rows = {row[0]: row for row in run_experiment(str(path), request(run)).rows}
    assert list(rows) == ["federated", POOLED, "site-01"]
    assert rows["federated"] == entry.rows[0]
    for name, score in scored.items():
        assert rows[name][1] == round(score["internal_test"]["accuracy"]["value"], 4)
    assert rows["site-01"][3] == 4  # its own validation lesions
    page = (run / "report.html").read_text()
    assert 'id="experiment-sites-' in page
    assert all(f">{name}</text>" in page for name in rows)


def test_a_center_without_validation_lesions_is_no_baseline_alone(small: tuple[Path, Path], tmp_path: Path) -> None:
    plan, run = small
    values = yaml.safe_load(plan.read_text())
    stage = next(one for one in values["stages"] if one["stage"] == "train")
    stage["validate"] = {**stage["validate"], "cohorts": ["training_b"]}  # of which the one center that trains has none
    other = tmp_path / "plan.yaml"
    other.write_text(yaml.safe_dump(values))
    assert [arm.name for arm in list_baselines(load_plan(other), RunSettings(other, run, SEED, 1))] == [POOLED]


def test_an_unfinished_run_is_told(small: tuple[Path, Path], tmp_path: Path) -> None:
    shutil.copy(small[1] / "results.json", tmp_path)
    (tmp_path / "x.yaml").write_text("kind: matrix\ntitle: x\n")
    with pytest.raises(ExpectedError, match="bundle"):
        run_experiment(str(tmp_path / "x.yaml"), request(tmp_path))


@pytest.mark.slow
def test_a_center_is_left_out_and_asked_about_its_own_lesions(small: tuple[Path, Path], tmp_path: Path) -> None:
    values = yaml.safe_load(small[0].read_text())
    values["simulation"] |= {
        "centers": [1, 2, 37, 50],
        "lesions": {**values["simulation"]["lesions"], "training_a": 16},
    }
    plan, run = tmp_path / "plan.yaml", tmp_path / "run"
    plan.write_text(yaml.safe_dump(values))
    name = tmp_path / "left.yaml"
    name.write_text(yaml.safe_dump({"kind": "leave_out", "title": "l", "centers": 1, "cohorts": ["validation"]}))
    entry = run_experiment(str(name), request(run, plan))
    assert len(entry.rows) == 1
    site = str(entry.rows[0][0])
    arm = next((run / "experiments" / "left" / "arms").glob("without-*"))
    records = json.loads((arm / "results.json").read_text())["participation"]
    assert not any(site in record["asked"] for record in records)
    assert len({site, *records[0]["registered"]}) == len(records[0]["registered"]) + 1
