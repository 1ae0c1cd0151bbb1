"""Oracle: pooled rows, scikit-learn and NumPy, for decision curves, predictive values, sets and selective accuracy."""

from __future__ import annotations

import numpy as np
import pytest
from made_readings import COHORT, answers, cases, targets_of, total_of
from sklearn import metrics as sk

from ceus_models.metrics.score_bins import EDGES, compute_bins
from ceus_models.study.taxonomy import LESION_TYPES
from server.results.clinical.conformal_sets import find_threshold_bin, measure_sets
from server.results.clinical.decision_curves import THRESHOLDS, compute_decision_curves
from server.results.clinical.dichotomy import DICHOTOMIES
from server.results.clinical.predictive_values import PREVALENCES, compute_predictive_values
from server.results.clinical.selective_accuracy import compute_selective_accuracy
from server.results.clinical.summary import summarize_use
from server.results.pooled_cohorts import pool_cohorts
from server.results.replicates import Resampling

NET = "fusion/DCB"
ROWS = cases(400)
TARGETS, P = targets_of(ROWS), answers(ROWS)[NET]
SAID = P.argmax(1)
TOTAL = total_of(ROWS)
CONFUSION = TOTAL[f"{COHORT}|{NET}|confusion"].numpy().astype(float)
SCORES = TOTAL[f"{COHORT}|{NET}|scores"].numpy().astype(float)
MALIGNANT, BENIGN = np.isin(TARGETS, (0, 1, 2)), np.isin(TARGETS, (3, 4))


def net_benefit(positive: np.ndarray, acted: np.ndarray, t: float) -> float:
    (_, false), (_, true) = sk.confusion_matrix(positive, acted, labels=[False, True])
    return (true - false * t / (1 - t)) / len(positive)


def test_the_net_benefit_is_that_of_the_rows() -> None:
    found = compute_decision_curves(CONFUSION[None], SCORES[None])
    known = MALIGNANT | BENIGN
    assert found["malignant"]["lesions"] == known.sum() < len(ROWS)
    for place, t in enumerate(found["thresholds"]):
        hcc = net_benefit(TARGETS == 0, P[:, 0] > t, t)
        assert found["HCC"]["net_benefit"][place] == pytest.approx(hcc)
        malignant = net_benefit(MALIGNANT[known], np.isin(SAID, (0, 1, 2))[known], t)
        assert found["malignant"]["net_benefit"][place] == pytest.approx(malignant)
        everyone = net_benefit(MALIGNANT[known], np.ones(known.sum(), bool), t)
        assert found["malignant"]["treat_all"][place] == pytest.approx(everyone)
    assert found["HCC"]["low"] == []
    assert found["thresholds"][0] == 0.05
    assert found["thresholds"][-1] == 0.95


def test_the_band_of_a_decision_curve_is_that_of_drawn_rows() -> None:
    found = summarize_use(TOTAL, COHORT, NET, Resampling(3, 3000))["decision"]["HCC"]
    picked = np.random.default_rng(1).integers(0, len(ROWS), (3000, len(ROWS)))
    for t in (0.1, 0.5, 0.8):
        place = int(np.argmin(abs(THRESHOLDS - t)))
        hit, false = (TARGETS == 0) & (P[:, 0] > t), (TARGETS != 0) & (P[:, 0] > t)
        drawn = (hit[picked].sum(1) - false[picked].sum(1) * t / (1 - t)) / len(ROWS)
        low, high = np.percentile(drawn, (2.5, 97.5))
        assert found["low"][place] == pytest.approx(low, abs=0.03)
        assert found["high"][place] == pytest.approx(high, abs=0.03)


def test_predictive_values_are_those_of_rows_weighted_to_the_prevalence() -> None:
    found = compute_predictive_values(CONFUSION, Resampling())
    known, said = MALIGNANT | BENIGN, np.isin(SAID, (0, 1, 2))
    assert found["malignant"]["sensitivity"]["value"] == sk.recall_score(MALIGNANT[known], said[known])
    for key, prevalence in PREVALENCES.items():
        weight = np.where(MALIGNANT, prevalence / MALIGNANT.sum(), (1 - prevalence) / BENIGN.sum())[known]
        ppv = sk.precision_score(MALIGNANT[known], said[known], sample_weight=weight)
        npv = sk.precision_score(~MALIGNANT[known], ~said[known], sample_weight=weight)
        for name, expected in (("ppv", ppv), ("npv", npv)):
            one = found["malignant"][key][name]
            assert one["value"] == pytest.approx(expected)
            assert one["low"] < one["value"] < one["high"]


def test_intervals_of_predictive_values_hold_the_truth_as_often_as_they_say() -> None:
    rng, held = np.random.default_rng(7), 0
    truth = 0.1 * 0.9 / (0.1 * 0.9 + 0.9 * 0.15)
    for hit, alarms in zip(rng.binomial(60, 0.9, 2000), rng.binomial(40, 0.15, 2000), strict=True):
        confusion = np.zeros((6, 6))
        confusion[0, 0], confusion[0, 3], confusion[3, 0], confusion[3, 3] = hit, 60 - hit, alarms, 40 - alarms
        one = compute_predictive_values(confusion, Resampling())["malignant"]["0.10"]["ppv"]
        held += one["low"] <= truth <= one["high"]
    assert 0.93 < held / 2000 < 0.985


def test_no_alarm_at_all_still_leaves_an_interval() -> None:
    one = compute_predictive_values(np.diag([30, 10, 5, 8, 8, 0]).astype(float), Resampling())["malignant"]["0.10"]
    assert one["ppv"]["value"] == one["npv"]["value"] == 1.0
    assert one["ppv"]["low"] < 0.8
    assert compute_predictive_values(np.diag([30.0, 0, 0, 0, 0, 0]), Resampling()) == {}


def test_sets_are_those_of_the_rows() -> None:
    half = np.arange(len(ROWS)) % 2 == 0
    first = find_threshold_bin(histogram(half))
    assert first is not None
    true = np.sort(P[half, TARGETS[half]])
    rank = len(true) - int(np.ceil((len(true) + 1) * 0.9))
    assert first == compute_bins(true)[rank], "the bin of the lesion that split conformal prediction names"
    found = measure_sets(histogram(~half), first, LESION_TYPES, Resampling())
    sets = P[~half] > EDGES[first]
    assert found["coverage"]["value"] == sets[np.arange((~half).sum()), TARGETS[~half]].mean()
    assert found["mean_size"] == pytest.approx(sets.sum(1).mean())
    for c, name in enumerate(LESION_TYPES):
        assert found["by_type"][name]["value"] == sets[TARGETS[~half] == c, c].mean()


def histogram(rows: np.ndarray) -> np.ndarray:
    counts = np.zeros((6, 2, 32))
    for c in range(6):
        np.add.at(counts[c], ((TARGETS[rows] == c).astype(int), compute_bins(P[rows, c])), 1)
    return counts


def test_coverage_of_sets_is_kept_on_lesions_like_those_that_chose() -> None:
    rng, covered = np.random.default_rng(2), []
    for _ in range(200):
        rows = rng.permutation(len(ROWS))
        first = find_threshold_bin(histogram(rows[:60]))
        covered.append(measure_sets(histogram(rows[60:]), first, LESION_TYPES, Resampling())["coverage"]["value"])
    assert 0.9 <= np.mean(covered) < 0.95
    assert find_threshold_bin(histogram(np.arange(8))) is None, "nine lesions at least for 0.9"


def test_a_cohort_that_chose_the_threshold_is_not_tested_by_it() -> None:
    both = TOTAL | {name.replace(COHORT, "internal_test"): tensor for name, tensor in TOTAL.items()}
    assert summarize_use(both, COHORT, NET, Resampling())["sets"]["calibrated_on"] == "internal_test"
    assert "sets" not in summarize_use(both, "internal_test", NET, Resampling())
    assert "sets" not in summarize_use(pool_cohorts(both), "all_tests", NET, Resampling())
    assert "sets" not in summarize_use(TOTAL, COHORT, NET, Resampling())
    assert summarize_use(TOTAL, "external_test_a", NET, Resampling()) == {}


def test_accuracy_where_the_model_is_sure_is_that_of_the_rows() -> None:
    found = compute_selective_accuracy(SCORES, Resampling())
    assert list(found)[:3] == ["0.5", "0.55", "0.6"]
    for key, one in found.items():
        sure = P.max(1) > float(key)
        assert one["answered"]["value"] == pytest.approx(sure.mean())
        assert one["accuracy"]["value"] == pytest.approx((SAID == TARGETS)[sure].mean())
        assert one["accuracy"]["n"] == sure.sum()


def test_questions_count_as_scikit_learn_does() -> None:
    for name, question in DICHOTOMIES.items():
        positive = MALIGNANT if name == "malignant" else TARGETS == 0
        known = (MALIGNANT | BENIGN) if name == "malignant" else np.ones(len(ROWS), bool)
        said = np.isin(SAID, [LESION_TYPES.index(kind) for kind in question.positive])
        (_, false), (miss, hit) = sk.confusion_matrix(positive[known], said[known])
        assert question.count(CONFUSION) == (hit, hit + miss, false, (known & ~positive).sum())
