from __future__ import annotations

import json

import pytest
import torch

from ceus_models.plan.plan import Plan
from ceus_models.plan.progress import Progress
from ceus_models.plan.stages import Evaluate, Hello, Statistics
from ceus_models.plan.terms.participation import Quorum
from ceus_models.plan.train_stage import Train
from ceus_models.protocol.messages import Architecture
from ceus_models.protocol.state import digest
from ceus_models.runtime.seeds import derive_seed
from ceus_models.study.reader_study import READERS
from ceus_models.study.taxonomy import CLINICAL_NAMES, FUSION_NETS, LESION_TYPES, STRATEGY_B, SUBMODELS
from server.report.page import render_report
from server.results.results import collect_results
from server.rounds.coordinator import run
from server.rounds.saving.checkpoints import Store
from tests.support.fake_sites import federation, probability_of

PLAN = Plan(
    name="small",
    stages=(
        Hello("hello"),
        Statistics("statistics"),
        Train("train", "submodels", ("submodels",), ("training_a",), 1),
        Train("train", "fusion", ("fusion",), ("training_b",), 1),
        Evaluate("evaluate", "modules", ("submodels",), ("training_a", "validation"), 20),
        Evaluate("evaluate", "test", ("fusion",), ("internal_test", "external_test_a", "external_test_c"), 20),
    ),
    quorum=Quorum(sites=1),
    architecture=Architecture(10, 10, 8, 8),
)


def tiny(net, recipe, seed):
    generator = torch.Generator().manual_seed(derive_seed(seed, net))
    return {"w": torch.randn(3, generator=generator)}


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    link = federation()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ceus_models.plan.rounds.training.build_initial_state", tiny)
        progress = run(PLAN, link, Store(tmp_path_factory.mktemp("study")), 7)
    return progress, link, collect_results(progress, PLAN, 7)


def test_results_are_json_without_nan(study):
    text = json.dumps(study[2], allow_nan=False)
    assert json.loads(text)["plan"] == "small"
    assert json.loads(text)["plan_digest"] == PLAN.digest()


def test_models_are_scored_by_cohort(study):
    _, link, found = study
    assert set(found["cohorts"]) == {"internal_test", "external_test_c"}, "no site holds external test A"
    for cohort in found["cohorts"].values():
        assert set(cohort["models"]) == {"D", "DC", "DB", "DCB"}
    rows = [lesion for site in link.members for lesion in site.lesions if lesion.cohort == "external_test_c"]
    right = sum(int(probability_of(row, "fusion/DCB").argmax()) == row.label for row in rows)
    accuracy = found["cohorts"]["external_test_c"]["models"]["DCB"]["accuracy"]
    assert accuracy["value"] == pytest.approx(right / len(rows))
    assert accuracy["n"] == len(rows) == found["cohorts"]["external_test_c"]["n"]
    assert accuracy["low"] <= accuracy["value"] <= accuracy["high"]


def test_every_metric_of_the_study_is_there(study):
    model = study[2]["cohorts"]["internal_test"]["models"]["DCB"]
    named = ["accuracy", "macro_auc", *(f"macro_{m}" for m in ("specificity", "recall", "precision", "npv", "f1"))]
    for name in named:
        assert set(model[name]) >= {"value", "low", "high", "n"}
    assert set(model["one_vs_rest_accuracy"]) == set(model["recall"]) == set(LESION_TYPES)
    assert set(model["roc"]) == {*LESION_TYPES, "macro"}
    assert sum(model["support"].values()) == model["n"]


def test_nets_digests_statistics_curves_and_stages(study):
    progress, _, found = study
    assert set(found["nets"]) == {*SUBMODELS, STRATEGY_B}
    assert 0 <= found["nets"]["disease/HCC"]["validation"]["auc"]["value"] <= 1
    assert found["digests"] == {net: digest(progress.nets[net]) for net in SUBMODELS + FUSION_NETS}
    assert "age" in found["statistics"]["selected"]
    assert set(found["statistics"]["correlations"]) == set(CLINICAL_NAMES)
    assert set(found["curves"]["submodels"]) == set(SUBMODELS)
    assert found["curves"]["fusion"]["fusion/DCB"]["rounds"] == [1]
    assert found["statistics"]["types"]["training_a"]["OT"] == 0
    assert [record["kind"] for record in found["participation"]] == ["hello", "tally", "train", "train"] + [
        "evaluate"
    ] * 2
    assert list(found["stages"]) == ["hello", "statistics", "submodels", "fusion", "modules", "test"]
    assert all(entry["seconds"] >= 0 and entry["peak_memory_mb"] is None for entry in found["stages"].values())


def test_what_goes_beyond_a_nets_own_metrics_is_there(study):
    """Each is held against scikit-learn, SciPy and pooled rows in tests of its own."""
    _, link, found = study
    held = [lesion for site in link.members for lesion in site.lesions if lesion.cohort == "external_test_c"]
    assert set(found["table1"]) == {"training_a", "validation", "training_b", "internal_test", "external_test_c"}
    assert sum(found["table1"]["external_test_c"]["sex"].values()) == len(held)
    assert "biomarkers" not in found["table1"]["validation"], "no tally of it was asked for"
    assert set(found["table1"]["training_a"]["biomarkers"]) == {"Hep", "GPC3", "CK7", "CK19"}
    assert [(one["first"], one["second"]) for one in found["pairs"]["all_tests"]][-1] == ("fusion/DB", "fusion/DCB")
    assert set(found["readers"]) == {"external_test_c"}
    assert set(found["readers"]["external_test_c"]["readers"]) == set(READERS)
    assert "assisted" not in found["readers"]["external_test_c"]["readers"]["mri1"]
    assert set(found["subgroups"]["all_tests"]) == set(FUSION_NETS)
    assert set(found["subgroups"]["validation"]) == {STRATEGY_B}
    assert found["misdiagnoses"]["all_tests"]["fusion/DCB"]["malignant_as_benign"]["of"] > 0
    sites = found["sites"]["external_test_c"]["fusion/DCB"]
    assert sum(site["n"] for site in sites.values()) == len(held)
    assert set(sites) == {"site-01", "site-37", "site-50"}


def list_estimates(found, path=()):
    """(path, estimate) of every {value, low, high} of the results."""
    if isinstance(found, dict):
        if {"value", "low", "high"} <= set(found):
            yield path, found
        for key, inner in found.items():
            yield from list_estimates(inner, (*path, key))
    elif isinstance(found, list):
        for number, inner in enumerate(found):
            yield from list_estimates(inner, (*path, number))


def test_no_interval_is_a_point_and_every_proportion_has_one(study):
    estimates = list(list_estimates(study[2]))
    assert len(estimates) > 1000
    perfect = 0
    for path, one in estimates:
        assert one["low"] is None or one["low"] < one["high"], path
        if {"recall", "accuracy", "subgroups", "misdiagnoses", "sites", "difference"} & set(path) and one["n"]:
            assert one["low"] <= one["value"] <= one["high"], path
            perfect += one["value"] in (0, 1)
    assert perfect > 20, "where a bootstrap would give a point"


def test_the_design_effect_is_that_of_the_declared_patients(study):
    progress, _, found = study
    lesions = sum(held.get("external_test_c", 0) for held in progress.counts.values())
    patients = sum(held.get("external_test_c", 0) for held in progress.patients.values())
    one = found["design"]["external_test_c"]
    assert (one["lesions"], one["patients"]) == (lesions, patients)
    assert found["design"]["all_tests"]["lesions"] > lesions
    assert one["effect"] == pytest.approx(1 + 2 * (lesions / patients - 1) * one["correlation"])


def test_tests_are_corrected_within_their_own_question(study):
    pairs = study[2]["pairs"]
    models = [test for place in pairs.values() for test in place if test["first"].startswith("fusion/")]
    assert {test["tests"] for test in models} == {len(models)}
    assert all(test["p"] <= test["p_holm"] <= 1 for test in models)
    assert study[2]["chosen_on"] == {}, "no stage validates"


def test_a_study_that_has_not_begun_has_results_too():
    found = collect_results(Progress(), PLAN, 7)
    assert found["cohorts"] == found["nets"] == found["digests"] == found["statistics"] == {}


def test_the_report_shows_all_that_results_hold(study):
    page = render_report(study[2])
    for figure in (
        "accuracy",
        "radar-",
        "roc-internal-test-DCB",
        "confusion-internal-test-DCB",
        "nets-validation",
        "curve-",
    ):
        assert f'id="{figure}' in page or f"{figure}" in page, figure
    assert page.count("<svg") >= 20
    assert "internal test" in page.lower()
