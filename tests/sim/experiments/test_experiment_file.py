"""Experiment files: those that we ship fit the plans, and every fault of a file is told with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from ceus_models.runtime.errors import ExpectedError, FaultList
from sim.experiments.experiment_file import Training, build_variants, find_experiment_file, load_experiment

ROOT = Path(__file__).parents[3]
FILES = sorted((ROOT / "configs" / "experiments").glob("*.yaml"))
SMOKE = ROOT / "configs" / "plan.smoke.yaml"


def written(folder: Path, text: str) -> Path:
    path = folder / "x.yaml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
@pytest.mark.parametrize("plan", ["smoke", "demo"])
def test_every_experiment_fits_the_plans(path: Path, plan: str) -> None:
    experiment, file = load_experiment(path)
    if isinstance(experiment, Training):
        assert (ROOT / experiment.plan).is_file()
    if isinstance(experiment, Training):
        made = build_variants(experiment, file, ROOT / "configs" / f"plan.{plan}.yaml", {})
        assert len({(variant.plan.digest(), variant.arm.pooled) for variant in made}) == len(experiment.arms)
        if experiment.claim and experiment.claim.best:
            assert experiment.claim.best in {arm.label for arm in experiment.arms}


def test_settings_come_last_and_reach_every_arm() -> None:
    experiment, file = load_experiment(ROOT / "configs" / "experiments" / "local_epochs.yaml")
    assert isinstance(experiment, Training)
    made = build_variants(experiment, file, SMOKE, {"stages.submodels.rounds": 7})
    assert [variant.plan.stages[2].steps() for variant in made] == [14, 14, 14]
    assert [variant.values["stages"][2]["rule"]["epochs"] for variant in made] == [1, 2, 4]


def test_all_faults_of_all_arms_come_at_once_with_their_lines(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        "kind: training\ntitle: t\narms:\n"
        "  - label: a\n    set:\n      stages.submodels.rule.epohcs: 2\n"
        "  - label: b\n    set:\n      stages.nowhere.rounds: 2\n"
        "  - label: c\n    set: {processing.size: big}\n"
        "  - label: d\n    drop: [test]\n",
    )
    experiment, file = load_experiment(path)
    assert isinstance(experiment, Training)
    with pytest.raises(FaultList) as told:
        build_variants(experiment, file, SMOKE, {})
    lines = list(map(str, told.value.faults))
    assert "x.yaml line 6," in lines[0]
    assert "epohcs: unknown key" in lines[0]
    assert "x.yaml line 9," in lines[1]
    assert "found 'nowhere'; use one of" in lines[1]
    assert "x.yaml line 11," in lines[2]
    assert "processing.size" in lines[2]
    assert any("an evaluation of fusion/DCB on internal_test" in line and "x.yaml line 12" in line for line in lines)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("kind: training\ntitle: t\narms: [{label: a}]\n", "2 or more arms"),
        ("kind: training\ntitle: t\narms: [{label: a}, {label: a}]\n", "different names of arms, found two 'a'"),
        ("kind: training\ntitle: t\narms: [{label: a, color: red}, {label: b}]\n", "unknown key"),
        ("kind: survey\ntitle: t\n", "one of .* found 'survey'"),
        ("kind: outline\ntitle: t\namount: 0.9\n", "less than or equal to 0.5"),
        ("kind: prevalence\ntitle: t\nscenarios: [{label: s, malignant: 0, benign: 0}]\n", "found 0 for both"),
    ],
)
def test_a_faulty_file_is_told(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(FaultList, match=told):
        load_experiment(written(tmp_path, text))


def test_an_unknown_name_is_told_with_those_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    assert find_experiment_file("fedprox") == Path("configs/experiments/fedprox.yaml")
    with pytest.raises(ExpectedError, match=r"found 'fedpros'; give one of.*fedprox"):
        find_experiment_file("fedpros")
