from __future__ import annotations

from dataclasses import fields, replace
from typing import get_args

import numpy as np
import pytest
import torch
from sklearn.metrics import confusion_matrix
from toy_lesions import lesion, lesions, recipe, task, with_submodels

from ceus_models.metrics.bootstrap import poisson_weights
from ceus_models.metrics.evaluation_release import list_tables
from ceus_models.metrics.score_bins import BINS, compute_bins
from ceus_models.plan.answers.answer_schema import GROUPS, find_shape_fault, groups_of
from ceus_models.protocol.messages import Architecture, Kind, Task
from ceus_models.study.taxonomy import DISEASE_NETS, FUSION_NETS, SUBMODELS
from client.policy.policy import KINDS
from client.policy.privacy_levels import LEVEL_OF, WITHOUT_LEVEL, PrivacyLevels
from client.worker.tasks.counts.score_counts import count_confusion, count_scores
from client.worker.tasks.handlers import WORK
from client.worker.tasks.inference import nets_of
from client.worker.tasks.place import Place
from client.worker.tasks.site_memory import SiteMemory
from client.worker.tasks.tally import tally_of
from client.worker.tasks.training import select_labelled

COHORTS = ("training_a", "validation")


@pytest.fixture
def place(tmp_path) -> Place:
    return Place("site-01", SiteMemory(tmp_path))


def two_cohorts() -> list:
    return [*lesions(6), *lesions(5, "validation", first=20), lesion(40, "validation", "OT")]


def tasks() -> dict[str, Task]:
    mixed = (*SUBMODELS, "disease/all", *FUSION_NETS)
    return {
        "hello": task("hello", cohorts=COHORTS, inputs={}),
        "tally": task("tally", cohorts=COHORTS, inputs={}),
        "train": task("train", ("disease/HCC", "biomarker/Hep", "biomarker/CK7"), cohorts=COHORTS),
        "evaluate": with_submodels(task("evaluate", mixed, cohorts=COHORTS, comparisons=True)),
    }


def test_every_question_has_work_a_schema_of_its_answer_and_a_level() -> None:
    assert set(WORK) == set(GROUPS) == set(KINDS)
    assert {*LEVEL_OF, "hello"} == set(KINDS)
    assert {*LEVEL_OF, *WITHOUT_LEVEL} == set(get_args(Kind))
    assert set(LEVEL_OF.values()) <= {field.name for field in fields(PrivacyLevels)}


@pytest.mark.parametrize("kind", WORK)
def test_answers_keep_the_contract(kind: str, place: Place) -> None:
    asked = tasks()[kind]
    sums, weight = WORK[kind](asked, two_cohorts(), place)
    assert find_shape_fault(sums, groups_of(asked)) is None
    assert 0 < weight <= 12
    assert all(t.is_contiguous() for t in sums.values())


@pytest.mark.parametrize("kind", WORK)
def test_no_sum_grows_with_the_lesions_and_absent_cohorts_are_left_out(kind: str, place: Place) -> None:
    asked = tasks()[kind]
    few, _ = WORK[kind](asked, lesions(4), place)
    many, _ = WORK[kind](asked, lesions(9), place)
    assert {n: t.shape for n, t in few.items()} == {n: t.shape for n, t in many.items()}
    assert not any(name.startswith("validation|") for name in few)


def test_hello_counts_lesions_and_patients(place: Place) -> None:
    sums, weight = WORK["hello"](tasks()["hello"], two_cohorts(), place)
    assert weight == 12
    found = {name: int(t) for name, t in sums.items()}
    expected = {
        "training_a|lesions": 6,
        "training_a|patients": 3,
        "validation|lesions": 6,
        "validation|patients": 4,
    }
    assert found == expected


def test_tally_equals_numpy_on_the_rows() -> None:
    cases = [*lesions(7), lesion(7, label="OT"), lesion(8, label=None)]
    sums = tally_of(cases)
    clinical = np.stack([s.clinical for s in cases]).astype(np.float64)
    assert sums["types"].tolist() == [2, 2, 1, 1, 1, 1]
    assert sums["clinical"][:, 0].tolist() == (~np.isnan(clinical)).sum(0).tolist()
    np.testing.assert_allclose(sums["clinical"][:, 1], np.nansum(clinical, 0))
    np.testing.assert_allclose(sums["clinical"][:, 2], np.nansum(clinical**2, 0))
    hm = clinical[[i for i, s in enumerate(cases) if s.label == "HM"]]
    np.testing.assert_allclose(sums["clinical_by_type"][:, 1, 1], np.nansum(hm, 0))
    np.testing.assert_allclose(sums["clinical_by_type"][:, 1, 0], (~np.isnan(hm)).sum(0))
    assert sums["biomarkers"].tolist() == [[0, 9], [5, 4], [0, 0], [9, 0]]
    assert int(sums["any_biomarker"]) == 9
    levels = np.stack([s.frames for s in cases]) / 255
    np.testing.assert_allclose(sums["levels"], [9, 9 * levels.mean(), 9 * (levels**2).mean()])
    flow = np.stack([s.flow for s in cases]) * 0.04
    np.testing.assert_allclose(sums["flow"], [9, 9 * flow.mean(), 9 * (flow**2).mean()], rtol=1e-9, atol=1e-12)


def random_answers(n: int, k: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    p = rng.random((n, 1)) if k == 1 else rng.dirichlet(np.ones(k), n)
    return p, rng.integers(0, max(2, k), n)


@pytest.mark.parametrize("k", [1, 5, 6])
def test_counts_equal_those_of_the_rows(k: int) -> None:
    p, target = random_answers(40, k)
    found = count_scores(p, target)
    predicted = (p[:, 0] >= 0.5).astype(int) if k == 1 else p.argmax(1)
    assert np.array_equal(found["confusion"], confusion_matrix(target, predicted, labels=range(max(2, k))))
    for c in range(k):
        positive = target == (1 if k == 1 else c)
        for side in (0, 1):
            bins = compute_bins(p[:, c][positive == side])
            assert np.array_equal(found["scores"][c, side], np.bincount(bins, minlength=BINS))


@pytest.mark.parametrize("k", [1, 6])
def test_paired_replicates_equal_rows_repeated_as_often_as_they_weigh(k: int) -> None:
    """Each replicate is the count over a table in which every row stands as often as its weight says."""
    p, target = random_answers(40, k)
    draws = np.stack([poisson_weights(1, str(i), 6)[1:] for i in range(40)])
    found = count_confusion(p, target, draws)
    predicted = (p[:, 0] >= 0.5).astype(int) if k == 1 else p.argmax(1)
    for row in range(6):
        again = np.repeat(np.arange(40), draws[:, row])
        expected = confusion_matrix(target[again], predicted[again], labels=range(max(2, k)))
        assert np.array_equal(found[row], expected)


def test_nothing_finer_than_the_tables_leaves(place: Place) -> None:
    """What a validation round, an evaluation and paired arms hold: whole counts of these tables, no sum of scores."""
    asked = task("evaluate", ("disease/HCC", "fusion/D"), cohorts=("training_a",))
    asked = with_submodels(asked)
    plain, _ = WORK["evaluate"](asked, lesions(8), place)
    assert {n.removeprefix("training_a|") for n in plain} == set(list_tables(asked.nets, False))
    stage, _ = WORK["evaluate"](replace(asked, comparisons=True), lesions(8), place)
    beside = {"groups", "mix", *(f"fusion/D|{name}" for name in ("groups", "withheld", "own"))}
    assert {n.removeprefix("training_a|") for n in stage} == set(list_tables(asked.nets)) | beside
    arms, _ = WORK["evaluate"](replace(asked, replicates=5), lesions(8), place)
    assert set(arms) - set(plain) == {f"training_a|{net}|replicates" for net in asked.nets}
    assert all(t.dtype == torch.int64 for sums in (plain, stage, arms) for t in sums.values())


def test_a_noised_evaluation_holds_its_tables_alone_with_two_lesions_a_patient(place: Place) -> None:
    """Nothing in it is held back for its size, which would depend on the data."""
    cases = [replace(sample, patient=f"p{i // 4}") for i, sample in enumerate(lesions(12))]
    asked = with_submodels(task("evaluate", FUSION_NETS, cohorts=("training_a",)))
    asked = replace(asked, comparisons=True, level="distributed")
    sums, weight = WORK["evaluate"](asked, cases, replace(place, cell=5, minimum=9))
    assert {n.removeprefix("training_a|"): tuple(t.shape) for n, t in sums.items()} == dict(list_tables(FUSION_NETS))
    assert weight == int(sums["training_a|fusion/D|confusion"].sum()) == 6
    assert find_shape_fault(sums, groups_of(asked)) is None


def test_evaluation_counts_what_the_nets_say(place: Place) -> None:
    asked = tasks()["evaluate"]
    cases = lesions(6)
    sums, _ = WORK["evaluate"](asked, cases, place)
    for net in ("disease/HM", "fusion/DCB"):
        known, answers = select_labelled(net, cases)
        p = nets_of(asked, place).probabilities(net, known)
        predicted = p.argmax(1) if p.shape[1] > 1 else (p[:, 0] >= 0.5).astype(int)
        expected = confusion_matrix(answers, predicted, labels=range(max(2, p.shape[1])))
        assert np.array_equal(sums[f"training_a|{net}|confusion"], expected)


def test_lesions_without_an_answer_do_not_count(place: Place) -> None:
    cases = [*lesions(4), lesion(4, label="OT"), lesion(5, label=None, marker=float("nan"))]
    sums, weight = WORK["evaluate"](tasks()["evaluate"], cases, place)
    counted = {n.split("|")[1]: int(t.sum()) for n, t in sums.items() if n.endswith("confusion")}
    assert counted["disease/HCC"] == counted["disease/all"] == 4
    assert counted["fusion/D"] == 5
    assert counted["biomarker/Hep"] == 5
    assert counted["biomarker/CK19"] == 6
    assert "biomarker/CK7" not in counted
    assert weight == 6


def test_a_submodel_says_the_same_frozen_or_sent(place: Place) -> None:
    sent = task("evaluate", DISEASE_NETS, comparisons=True, replicates=3)
    frozen = with_submodels(sent)
    a, _ = WORK["evaluate"](sent, lesions(5), place)
    b, _ = WORK["evaluate"](frozen, lesions(5), place)
    assert a.keys() == b.keys()
    for name in a:
        assert torch.equal(a[name], b[name])


def test_training_leaves_out_nets_without_labels(place: Place) -> None:
    sums, weight = WORK["train"](tasks()["train"], lesions(4), place)
    assert {name.split("|")[0] for name in sums} == {"disease/HCC", "biomarker/Hep"}
    assert weight == 4
    assert WORK["train"](task("train", ("biomarker/CK7",)), lesions(4), place) == ({}, 0.0)


def test_small_groups_are_not_spoken_of(tmp_path) -> None:
    strict = Place("site-01", SiteMemory(tmp_path), minimum=5)
    cases = [*lesions(4), lesion(4, label="OT")]
    sums, _ = WORK["evaluate"](tasks()["evaluate"], cases, strict)
    assert "training_a|fusion/D|confusion" in sums
    assert "training_a|disease/HCC|confusion" not in sums


def test_a_site_that_never_trained_evaluates_with_its_own_statistics(place: Place) -> None:
    made = recipe(Architecture(10, 10, 8, 4, "batch_local"))
    asked = task("evaluate", ("disease/HCC",), made)
    first, _ = WORK["evaluate"](asked, lesions(6), place)
    WORK["train"](task("train", ("disease/HCC",), made), lesions(6), place)
    trained, _ = WORK["evaluate"](asked, lesions(6), place)
    scores = "training_a|disease/HCC|scores"
    assert int(first[scores].sum()) == int(trained[scores].sum()) == 6
    assert not torch.equal(first[scores], trained[scores])


def test_a_class_below_the_minimum_cell_is_not_evaluated(place: Place) -> None:
    cases = lesions(11)  # HCC HM ICC HH HA HCC HM ICC HH HA HCC
    asked = task("evaluate", ("disease/HCC", "disease/HM", "disease/all", "biomarker/Hep"))
    strict = replace(place, cell=3)
    sums, weight = WORK["evaluate"](asked, cases, strict)
    types = [cases[i].label for i in range(11)]
    assert sorted(types.count(kind) for kind in set(types)) == [2, 2, 2, 2, 3]
    assert sums["training_a|disease/HCC|confusion"].sum(1).tolist() == [0, 3]
    assert sums["training_a|disease/HM|confusion"].sum(1).tolist() == [3, 0], "lesions of HM are not spoken of"
    assert sums["training_a|disease/all|confusion"].sum(1).tolist() == [3, 0, 0, 0, 0]
    assert int(sums["training_a|disease/HM|scores"].sum()) == 3
    assert (
        "training_a|biomarker/Hep|confusion" not in sums
        or (sums["training_a|biomarker/Hep|confusion"].sum(1) % 3 == 0).all()
    )
    assert weight == 3


def test_every_net_of_lesion_types_counts_the_same_lesions(place: Place) -> None:
    """Two nets' tables over other lesions could be subtracted: they differ by lesions of OT alone, a cell of them."""
    rng = np.random.default_rng(2)
    nets = (*SUBMODELS, "disease/all", *FUSION_NETS)
    asked = with_submodels(task("evaluate", nets, comparisons=True))
    for size in (9, 14):
        cases = [lesion(i, label=rng.choice(["HCC", "HM", "ICC", "OT"], p=[0.4, 0.3, 0.15, 0.15])) for i in range(size)]
        sums, _ = WORK["evaluate"](asked, cases, replace(place, cell=3))
        rows = {n: t.sum(1) for n, t in sums.items() if n.endswith("confusion") and "biomarker" not in n}
        fused = rows["training_a|fusion/D|confusion"]
        assert all((r == 0) | (r >= 3) for r in fused.tolist())
        for name, row in rows.items():
            if "|fusion/" in name:
                assert torch.equal(row, fused)
            elif name.endswith(("all|confusion", "five|confusion")):
                assert torch.equal(row, fused[:5])
            else:
                assert int(row.sum()) == int(fused[:5].sum())
        left = size - int(fused.sum())
        assert left == 0 or left >= 3
