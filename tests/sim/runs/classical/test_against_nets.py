"""Classical baselines against scikit-learn and statsmodels on the same rows, and the verdict on the nets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, f1_score, recall_score, roc_auc_score
from statsmodels.stats.proportion import proportion_confint
from typed_lesions import typed_lesions

from ceus_models.plan.plan import load_plan
from ceus_models.study.taxonomy import LESION_TYPES, TEST_COHORTS
from sim.runs.classical import against_nets
from sim.runs.classical.against_nets import compare_classical, judge_zones, read_accuracies, score_classifier
from sim.runs.classical.classifiers import CLASSICAL, build_regression, build_trees
from sim.runs.classical.features import measure_zones

PLAN = load_plan(Path(__file__).parents[4] / "configs" / "plan.smoke.yaml")
LESIONS = {
    "training_a": typed_lesions("training_a", 120),
    "validation": typed_lesions("validation", 60, 1000),
    "training_b": typed_lesions("training_b", 90, 2000),
    **{cohort: typed_lesions(cohort, 40, 3000 + 100 * place) for place, cohort in enumerate(TEST_COHORTS)},
}


@pytest.fixture(autouse=True)
def few_trees(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sim.runs.classical.classifiers.TREES", 40)
    monkeypatch.setattr(against_nets, "REPLICATES", 50)


def test_every_metric_is_scikit_learns_on_the_pooled_rows() -> None:
    zones = CLASSICAL["zones"]
    found = score_classifier(zones, LESIONS, {}, 3)
    rows = [*LESIONS["training_a"], *LESIONS["training_b"]]
    asked = {cohort: LESIONS[cohort] for cohort in TEST_COHORTS}
    said = np.concatenate(list(zones.answer(rows, asked, 3).values()))
    truth = np.array([LESION_TYPES.index(str(one.label)) for cohort in TEST_COHORTS for one in LESIONS[cohort]])
    called = said.argmax(axis=1)
    whole = found["all_tests"]
    assert whole["n"] == len(truth) == 160
    assert whole["accuracy"]["value"] == pytest.approx(accuracy_score(truth, called))
    low, high = proportion_confint(int((truth == called).sum()), len(truth), method="wilson")
    assert (whole["accuracy"]["low"], whole["accuracy"]["high"]) == pytest.approx((low, high))
    assert whole["macro_recall"]["value"] == pytest.approx(recall_score(truth, called, average="macro"))
    assert whole["macro_f1"]["value"] == pytest.approx(f1_score(truth, called, average="macro"))
    area = np.mean([roc_auc_score(truth == place, said[:, place]) for place in range(6)])
    assert whole["macro_auc"]["value"] == pytest.approx(area, abs=whole["macro_auc"]["resolution"] + 1e-9)
    assert (found["validation"]["learned"], whole["learned"]) == (120, 210)


def test_what_answers_validation_has_not_seen_training_b() -> None:
    learned = LESIONS["training_a"]
    said = CLASSICAL["zones"].answer(learned, {"validation": LESIONS["validation"]}, 1)["validation"]
    assert said[:, LESION_TYPES.index("OT")].max() == 0.0
    assert said.sum(axis=1) == pytest.approx(np.ones(60))
    found = score_classifier(CLASSICAL["zones"], {**LESIONS, "training_b": LESIONS["training_b"][:50]}, {}, 1)
    assert found["validation"] == score_classifier(CLASSICAL["zones"], LESIONS, {}, 1)["validation"]


def test_the_regression_is_the_plain_one_on_standardised_features() -> None:
    draw = np.random.default_rng(1)
    x = draw.normal(3, 2, (80, 4))
    y = (x[:, 0] + draw.normal(0, 1, 80) > 3).astype(int)
    own = build_regression(0).fit(x, y).predict_proba(x)
    z = (x - x.mean(0)) / x.std(0)
    assert own == pytest.approx(LogisticRegression().fit(z, y).predict_proba(z), abs=1e-3)


@pytest.mark.parametrize("build", [build_regression, build_trees])
def test_missing_values_are_no_error_and_the_same_seed_gives_the_same(build: Any) -> None:
    x = np.stack([measure_zones(one) for one in LESIONS["validation"]])
    x[::3, 1] = np.nan
    x[:, 2] = np.nan  # a variable that nobody has
    y = [str(one.label) for one in LESIONS["validation"]]
    assert (build(5).fit(x, y).predict_proba(x) == build(5).fit(x, y).predict_proba(x)).all()


def test_a_run_gets_all_three_beside_its_nets(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(against_nets, "load_lesions", lambda run, plan: LESIONS)
    share = {"accuracy": {"value": 0.25, "low": 0.1, "high": 0.4, "n": 40}}
    results = {
        "cohorts": {cohort: {"models": {"D": share, "DCB": share}} for cohort in TEST_COHORTS},
        "nets": {"disease/five": {"validation": share}, "disease/HCC": {"validation": share}},
        "design": {"all_tests": {"effect": 1.5}},
    }
    found = compare_classical(tmp_path, PLAN, results, 1)
    assert list(found["classical"]) == ["clinical", "curve", "zones"]
    assert list(found["nets"]) == ["disease/five", "fusion/D", "fusion/DCB"]
    assert all(set(one) == {"validation", *TEST_COHORTS, "all_tests"} for one in found["classical"].values())
    low, high = proportion_confint(40 / 1.5, 160 / 1.5, method="wilson")
    whole = found["nets"]["fusion/D"]["all_tests"]
    assert (whole["value"], whole["low"], whole["high"], whole["n"]) == pytest.approx((0.25, low, high, 160))
    assert {place: one["net"] for place, one in found["zones_over_nets"].items()} == {
        "validation": "disease/five",
        "all_tests": "fusion/D",
    }
    assert found["zones_over_nets"]["all_tests"]["beats"]


def test_a_cohort_that_nobody_has_is_left_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    few = {cohort: LESIONS[cohort] for cohort in ("training_b", "internal_test")}
    monkeypatch.setattr(against_nets, "load_lesions", lambda run, plan: few)
    found = compare_classical(tmp_path, PLAN, {}, 1)
    assert list(found["classical"]) == ["clinical"]
    assert list(found["classical"]["clinical"]) == ["internal_test"]
    assert (found["nets"], found["zones_over_nets"]) == ({}, {})


@pytest.mark.parametrize(
    ("zones", "effect", "beats"), [(0.80, 1.0, True), (0.72, 1.0, False), (0.55, 1.0, False), (0.80, 4.0, False)]
)
def test_zones_beat_a_net_by_more_than_the_interval_or_they_do_not(zones: float, effect: float, beats: bool) -> None:
    score = {"accuracy": {"value": zones, "n": 200}}
    net = {"fusion/D": {"all_tests": {"value": 0.7, "n": 200}}}
    found = judge_zones({"all_tests": score}, net, {"all_tests": effect})["all_tests"]
    assert found["beats"] is beats
    assert found["difference"]["value"] == pytest.approx(zones - 0.7)
    assert found["difference"]["low"] < found["difference"]["value"] < found["difference"]["high"]
    assert judge_zones({}, net, {}) == {}


def test_a_single_test_cohort_is_no_pool() -> None:
    share = {"accuracy": {"value": 0.5, "low": 0.4, "high": 0.6, "n": 9}}
    found = read_accuracies({"cohorts": {"internal_test": {"models": {"D": share}}}}, {})
    assert found == {"fusion/D": {"internal_test": share["accuracy"]}}
