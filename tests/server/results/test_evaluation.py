"""Oracle: scikit-learn and a pooled bootstrap on the rows that the sites hold between them."""

from __future__ import annotations

import itertools
import warnings

import numpy as np
import pytest
import torch
from sklearn import metrics as sk
from sklearn.calibration import calibration_curve

from ceus_models.metrics.bootstrap import poisson_weights
from ceus_models.metrics.score_bins import FINE_BINS, compute_bins, compute_calibration_bins
from ceus_models.protocol.sums import ExactSum
from ceus_models.study.taxonomy import LESION_TYPES
from client.worker.tasks.score_counts import count_scores
from server.results import metrics
from server.results.evaluation import class_names, compute_binary, compute_multi_class, read_counts
from server.results.intervals import bootstrap_interval

EXACT = {"rel": 0, "abs": 1e-12}
NET, COHORT, REPLICATES = "fusion/DCB", "external_test_c", 1000


def rows_of(n, classes, seed, support=None):
    rng = np.random.default_rng(seed)
    support = classes if support is None else support
    targets = rng.integers(0, support, n)
    logits = rng.normal(size=(n, classes))
    logits[np.arange(n), targets] += 1.3
    probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    return targets, probabilities


def federated(targets, probabilities, net, sites=7, replicates=REPLICATES):
    """The rows dealt to sites of unequal size, each answering with sums; then their total."""
    total = ExactSum()
    edges = np.unique((len(targets) * np.linspace(0, 1, sites + 1) ** 2).astype(int))
    for start, stop in itertools.pairwise(edges):
        weights = np.stack([poisson_weights(3, f"lesion-{i}", replicates) for i in range(start, stop)])
        even = np.ones(max(2, probabilities.shape[1]))
        sums = count_scores(probabilities[start:stop], targets[start:stop], weights, even)
        total.add({f"{COHORT}|{net}|{name}": t for name, t in sums.items()})
    return read_counts(total.take_float64(), COHORT, net)


TARGETS, PROBABILITIES = rows_of(300, 6, 1)
COUNTS = federated(TARGETS, PROBABILITIES, NET)
FOUND = compute_multi_class(COUNTS, class_names(NET))


def test_counts_equal_those_of_the_pooled_rows():
    expected = sk.confusion_matrix(TARGETS, PROBABILITIES.argmax(1))
    assert FOUND["confusion"] == expected.tolist()
    assert FOUND["n"] == 300
    assert list(FOUND["support"].values()) == np.bincount(TARGETS, minlength=6).tolist()


def pooled(targets, predicted, classes):
    """What scikit-learn says of every metric of the confusion matrix; specificity and NPV are recall and precision
    of "not this class".
    """
    named = {"labels": classes, "average": "macro", "zero_division": 0}
    rest = [
        (
            sk.recall_score(targets != c, predicted != c, zero_division=0),
            sk.precision_score(targets != c, predicted != c, zero_division=0),
        )
        for c in classes
    ]
    return {
        "accuracy": sk.accuracy_score(targets, predicted),
        "macro_recall": sk.recall_score(targets, predicted, **named),
        "macro_precision": sk.precision_score(targets, predicted, **named),
        "macro_f1": sk.f1_score(targets, predicted, **named),
        "macro_specificity": np.mean([r for r, _ in rest]),
        "macro_npv": np.mean([p for _, p in rest]),
    }


@pytest.mark.parametrize("support", [6, 4])
def test_metrics_equal_scikit_learns(support):
    targets, probabilities = rows_of(120, 6, 2, support)
    found = compute_multi_class(federated(targets, probabilities, NET, replicates=0), LESION_TYPES)
    for name, value in pooled(targets, probabilities.argmax(1), list(range(support))).items():
        assert found[name]["value"] == pytest.approx(value, abs=1e-12), name
        assert found[name]["low"] is None
    assert found["macro_over"] == list(LESION_TYPES[:support])
    assert all(found["auc"][name]["value"] is None for name in LESION_TYPES[support:])


def test_one_vs_rest_metrics_equal_scikit_learns():
    predicted = PROBABILITIES.argmax(1)
    for c, name in enumerate(LESION_TYPES):
        accuracy = FOUND["one_vs_rest_accuracy"][name]
        assert accuracy["value"] == pytest.approx(sk.accuracy_score(c == TARGETS, predicted == c))
        assert FOUND["f1"][name]["value"] == pytest.approx(sk.f1_score(c == TARGETS, predicted == c))
        assert FOUND["recall"][name]["n"] == FOUND["support"][name] == (c == TARGETS).sum()


def test_auc_is_within_its_stated_resolution_and_exact_for_binned_scores():
    area = metrics.auc(COUNTS.fine)
    bound = metrics.auc_resolution(COUNTS.fine)
    assert (bound < 0.005).all()
    for c in range(6):
        truth = sk.roc_auc_score(c == TARGETS, PROBABILITIES[:, c])
        assert abs(area[c] - truth) <= bound[c] + 1e-12
        binned = compute_bins(PROBABILITIES[:, c], FINE_BINS)
        assert area[c] == pytest.approx(sk.roc_auc_score(c == TARGETS, binned), abs=1e-12)
    truth = sk.roc_auc_score(TARGETS, PROBABILITIES, multi_class="ovr", average="macro")
    assert abs(FOUND["macro_auc"]["value"] - truth) <= FOUND["macro_auc"]["resolution"] + 1e-12


def test_the_bound_is_reached_when_all_scores_tie():
    scores = np.zeros((2, 4), np.int64)
    scores[:, 2] = (5, 3)
    assert metrics.auc(scores) == 0.5
    assert metrics.auc_resolution(scores) == 0.5


def test_the_curve_is_scikit_learns():
    for c, name in enumerate(LESION_TYPES):
        false, true = (np.array(FOUND["roc"][name][axis]) for axis in ("fpr", "tpr"))
        expected = sk.roc_curve(c == TARGETS, compute_bins(PROBABILITIES[:, c], FINE_BINS))
        at = np.linspace(0, 1, 57)[1:-1] + 1e-4
        np.testing.assert_allclose(np.interp(at, false, true), np.interp(at, expected[0], expected[1]), atol=1e-4)
        assert sk.auc(false, true) == pytest.approx(metrics.auc(COUNTS.fine)[c], abs=1e-5)
    assert FOUND["roc"]["HCC"]["fpr"][:: len(FOUND["roc"]["HCC"]["fpr"]) - 1] == [0.0, 1.0]
    assert FOUND["roc"]["HCC"]["tpr"][:: len(FOUND["roc"]["HCC"]["tpr"]) - 1] == [0.0, 1.0]


def test_intervals_agree_with_a_pooled_bootstrap():
    rng = np.random.default_rng(5)
    predicted = PROBABILITIES.argmax(1)
    draws = {name: [] for name in ("accuracy", "macro_recall", "macro_precision", "macro_f1", "macro_auc")}
    for _ in range(3000):
        rows = rng.integers(0, len(TARGETS), len(TARGETS))
        confusion = np.zeros((6, 6), np.int64)
        np.add.at(confusion, (TARGETS[rows], predicted[rows]), 1)
        hit, actual, guessed = np.diag(confusion), confusion.sum(1), confusion.sum(0)
        draws["accuracy"].append(hit.sum() / len(rows))
        draws["macro_recall"].append(np.mean(hit / actual))
        draws["macro_precision"].append(np.mean(hit / np.maximum(guessed, 1)))
        draws["macro_f1"].append(np.mean(2 * hit / (actual + guessed)))
        draws["macro_auc"].append(np.mean([_auc(TARGETS[rows] == c, PROBABILITIES[rows, c]) for c in range(6)]))
    for name, values in draws.items():
        low, high = np.percentile(values, (2.5, 97.5))
        assert FOUND[name]["low"] == pytest.approx(low, abs=0.01), name
        assert FOUND[name]["high"] == pytest.approx(high, abs=0.01), name


def _auc(positive, scores):
    """The rank statistic; scores do not tie."""
    ranks = np.empty(len(scores))
    ranks[np.argsort(scores)] = np.arange(1, len(scores) + 1)
    # a row drawn twice ties with itself, which is of the same class and so counts nowhere
    p = positive.sum()
    return (ranks[positive].sum() - p * (p + 1) / 2) / (p * (len(scores) - p))


def test_a_binary_net():
    rng = np.random.default_rng(9)
    targets = rng.integers(0, 2, 250)
    p = 1 / (1 + np.exp(-(rng.normal(size=250) + 1.5 * targets - 0.75)))
    counts = federated(targets, p[:, None], "disease/HCC")
    found = compute_binary(counts)
    assert found["confusion"] == sk.confusion_matrix(targets, p >= 0.5).tolist()
    assert found["sensitivity"]["value"] == pytest.approx(sk.recall_score(targets, p >= 0.5))
    assert found["specificity"]["value"] == pytest.approx(sk.recall_score(1 - targets, p < 0.5))
    assert abs(found["auc"]["value"] - sk.roc_auc_score(targets, p)) <= found["auc"]["resolution"] + 1e-12
    draws = [_auc(targets[r] == 1, p[r]) for r in rng.integers(0, 250, (3000, 250))]
    low, high = np.percentile(draws, (2.5, 97.5))
    assert found["auc"]["low"] == pytest.approx(low, abs=0.01)
    assert found["auc"]["high"] == pytest.approx(high, abs=0.01)
    assert found["loss"] == pytest.approx(sk.log_loss(targets, p), abs=1e-6)
    assert found["brier"]["value"] == pytest.approx(sk.brier_score_loss(targets, p), **EXACT)
    observed, predicted = calibration_curve(targets, p, n_bins=10)
    np.testing.assert_allclose(found["calibration"]["observed"], observed, atol=1e-15)
    np.testing.assert_allclose(found["calibration"]["predicted"], predicted, atol=1e-12)
    missed = np.square(p - targets)
    low, high = np.percentile([missed[r].mean() for r in rng.integers(0, 250, (3000, 250))], (2.5, 97.5))
    assert found["brier"]["low"] == pytest.approx(low, abs=0.01)
    assert found["brier"]["high"] == pytest.approx(high, abs=0.01)


def test_calibration_is_scikit_learns():
    """The curve, the expected error and Brier's score: counts exactly, means of probabilities to the 2^-41 by which
    each is rounded before whole numbers are added. scikit-learn adds floats, whose sum depends on their order.
    """
    for c, name in enumerate(LESION_TYPES):
        found = FOUND["calibration"]["classes"][name]
        observed, predicted = calibration_curve(c == TARGETS, PROBABILITIES[:, c], n_bins=10)
        np.testing.assert_allclose(found["observed"], observed, atol=1e-15)
        np.testing.assert_allclose(found["predicted"], predicted, atol=1e-12)
        assert sum(found["n"]) == 300
    sure, right = PROBABILITIES.max(1), PROBABILITIES.argmax(1) == TARGETS
    observed, predicted = calibration_curve(right, sure, n_bins=10)
    found = FOUND["calibration"]["answer"]
    np.testing.assert_allclose(found["observed"], observed, atol=1e-15)
    np.testing.assert_allclose(found["predicted"], predicted, atol=1e-12)
    expected = sum(n * abs(o - p) for n, o, p in zip(found["n"], observed, predicted, strict=True)) / 300
    assert found["ece"] == pytest.approx(expected, **EXACT)
    each = [sk.brier_score_loss(c == TARGETS, PROBABILITIES[:, c]) for c in range(6)]
    assert FOUND["brier"]["value"] == pytest.approx(sum(each), **EXACT)
    assert FOUND["brier"]["low"] < FOUND["brier"]["value"] < FOUND["brier"]["high"]


@pytest.mark.parametrize("edge", [0.0, 0.1, 0.30000000000000004, 0.5, 0.7, 1.0])
def test_a_probability_on_an_edge_is_where_scikit_learn_puts_it(edge):
    p = np.array([edge, 0.05, 0.15, 0.35, 0.65, 0.95])
    for mark in range(len(p)):
        observed, _ = calibration_curve(np.arange(len(p)) == mark, p, n_bins=10)
        bins = compute_calibration_bins(p)
        ours = [np.mean(np.arange(len(p))[bins == b] == mark) for b in np.unique(bins)]
        np.testing.assert_allclose(ours, observed)


def test_average_precision_and_sensitivity_at_a_specificity_are_scikit_learns():
    for c, name in enumerate(LESION_TYPES):
        binned = compute_bins(PROBABILITIES[:, c], FINE_BINS)
        found = FOUND["average_precision"][name]["value"]
        assert found == pytest.approx(sk.average_precision_score(c == TARGETS, binned), abs=1e-12)
        assert found == pytest.approx(sk.average_precision_score(c == TARGETS, PROBABILITIES[:, c]), abs=0.01)
        false, true, _ = sk.roc_curve(c == TARGETS, binned, drop_intermediate=False)
        for floor in ("0.90", "0.95"):
            expected = true[false <= 1 - float(floor) + 1e-12].max()
            assert FOUND["sensitivity_at"][floor][name]["value"] == pytest.approx(expected, abs=1e-12)


def test_one_class_only_gives_null_and_never_nan():
    probabilities = np.full((9, 6), 1 / 6)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = compute_multi_class(federated(np.zeros(9, np.int64), probabilities, NET, replicates=20), LESION_TYPES)
        alone = compute_binary(federated(np.ones(9, np.int64), np.full((9, 1), 0.7), "disease/HCC", replicates=20))
    assert found["macro_auc"] == {"value": None, "low": None, "high": None, "n": 9, "resolution": None}
    assert found["accuracy"]["value"] == 1.0
    assert found["roc"]["HCC"] == found["roc"]["macro"] == {"fpr": [], "tpr": []}
    assert alone["auc"]["value"] is None
    assert alone["specificity"]["value"] is None
    assert alone["sensitivity"]["value"] == 1.0


def test_a_cohort_without_lesions_has_no_counts():
    assert read_counts({"a|b|c": torch.zeros(1)}, COHORT, NET) is None


def test_replicates_are_shifted_to_the_better_estimate():
    rows = np.concatenate([[0.80], np.linspace(0.7, 0.9, 1001)])
    assert bootstrap_interval(rows, 5, 0.81) == {
        "value": 0.81,
        "low": pytest.approx(0.715),
        "high": pytest.approx(0.905),
        "n": 5,
    }
    assert bootstrap_interval(rows, 5, 0.99)["high"] == 1.0, "a share is at most 1"
