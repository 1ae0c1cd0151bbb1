"""Oracle: scikit-learn and a pooled bootstrap on the rows that the sites hold between them."""

from __future__ import annotations

import itertools
import warnings

import numpy as np
import pytest
import torch
from sklearn import metrics as sk
from sklearn.calibration import calibration_curve

from ceus_models.metrics.score_bins import compute_bins
from ceus_models.protocol.sums import ExactSum
from ceus_models.study.taxonomy import LESION_TYPES
from client.worker.tasks.counts.score_counts import count_scores
from server.results import metrics
from server.results.evaluation import class_names, compute_binary, compute_multi_class, read_counts
from server.results.intervals import bootstrap_interval
from server.results.replicates import Resampling

NET, COHORT, REPLICATES = "fusion/DCB", "external_test_c", 4000


def rows_of(n, classes, seed, support=None):
    rng = np.random.default_rng(seed)
    support = classes if support is None else support
    targets = rng.integers(0, support, n)
    logits = rng.normal(size=(n, classes))
    logits[np.arange(n), targets] += 1.3
    probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    return targets, probabilities


def federated(targets, probabilities, net, replicates=REPLICATES, noise_sd=0.0, sites=7):
    """The rows dealt to sites of unequal size, each answering with sums; then their total."""
    total = ExactSum()
    edges = np.unique((len(targets) * np.linspace(0, 1, sites + 1) ** 2).astype(int))
    for start, stop in itertools.pairwise(edges):
        sums = count_scores(probabilities[start:stop], targets[start:stop])
        total.add({f"{COHORT}|{net}|{name}": t for name, t in sums.items()})
    return read_counts(total.take_float64(), (COHORT, net), Resampling(3, replicates, noise_sd), {})


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
        assert (found[name]["low"] is None) == (name not in ("accuracy", "macro_recall")), "no replicates needed"
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
    area = metrics.auc(COUNTS.scores[0])
    bound = metrics.auc_resolution(COUNTS.scores[0])
    assert (bound < 0.04).all()
    for c, name in enumerate(LESION_TYPES):
        truth = sk.roc_auc_score(c == TARGETS, PROBABILITIES[:, c])
        assert abs(area[c] - truth) <= bound[c] + 1e-12
        assert abs(area[c] - truth) < 0.01, "far inside"
        binned = compute_bins(PROBABILITIES[:, c])
        assert area[c] == pytest.approx(sk.roc_auc_score(c == TARGETS, binned), abs=1e-12)
        assert FOUND["auc"][name]["resolution"] == bound[c]
    truth = sk.roc_auc_score(TARGETS, PROBABILITIES, multi_class="ovr", average="macro")
    assert abs(FOUND["macro_auc"]["value"] - truth) <= FOUND["macro_auc"]["resolution"] + 1e-12
    assert abs(FOUND["macro_auc"]["value"] - truth) < 0.005


def test_the_bound_is_reached_when_all_scores_tie():
    scores = np.zeros((2, 4), np.int64)
    scores[:, 2] = (5, 3)
    assert metrics.auc(scores) == 0.5
    assert metrics.auc_resolution(scores) == 0.5


def test_the_curve_is_scikit_learns():
    for c, name in enumerate(LESION_TYPES):
        false, true = (np.array(FOUND["roc"][name][axis]) for axis in ("fpr", "tpr"))
        expected = sk.roc_curve(c == TARGETS, compute_bins(PROBABILITIES[:, c]))
        at = np.linspace(0, 1, 57)[1:-1] + 1e-4
        np.testing.assert_allclose(np.interp(at, false, true), np.interp(at, expected[0], expected[1]), atol=1e-4)
        assert sk.auc(false, true) == pytest.approx(metrics.auc(COUNTS.scores[0])[c], abs=1e-5)
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
    assert found["loss"] == pytest.approx(sk.log_loss(targets, p), abs=0.005)
    brier = found["brier"]
    assert abs(brier["value"] - sk.brier_score_loss(targets, p)) <= brier["resolution"] < 0.025
    assert brier["value"] == pytest.approx(sk.brier_score_loss(targets, p), abs=0.002)
    is_calibrated(found["calibration"], targets, p)
    missed = np.square(p - targets)
    low, high = np.percentile([missed[r].mean() for r in rng.integers(0, 250, (3000, 250))], (2.5, 97.5))
    assert brier["low"] == pytest.approx(low, abs=0.01)
    assert brier["high"] == pytest.approx(high, abs=0.01)


def is_calibrated(found, positive, p):
    """The curve counts as scikit-learn's does; mean probabilities and the expected error are within the bins."""
    observed, predicted = calibration_curve(positive, p, n_bins=10)
    np.testing.assert_allclose(found["observed"], observed, atol=1e-15)
    np.testing.assert_allclose(found["predicted"], predicted, atol=0.025)
    expected = sum(n * abs(o - q) for n, o, q in zip(found["n"], observed, predicted, strict=True)) / len(p)
    assert abs(found["ece"] - expected) <= found["resolution"] <= 0.025
    assert sum(found["n"]) == len(p)


def test_calibration_is_scikit_learns():
    for c, name in enumerate(LESION_TYPES):
        is_calibrated(FOUND["calibration"]["classes"][name], c == TARGETS, PROBABILITIES[:, c])
    together = np.concatenate([c == TARGETS for c in range(6)]), PROBABILITIES.T.reshape(-1)
    is_calibrated(FOUND["calibration"]["all"], *together)
    each = sum(sk.brier_score_loss(c == TARGETS, PROBABILITIES[:, c]) for c in range(6))
    assert abs(FOUND["brier"]["value"] - each) <= FOUND["brier"]["resolution"]
    assert FOUND["brier"]["value"] == pytest.approx(each, abs=0.003)
    assert FOUND["brier"]["low"] < FOUND["brier"]["value"] < FOUND["brier"]["high"]


def test_average_precision_and_sensitivity_at_a_specificity_are_scikit_learns():
    for c, name in enumerate(LESION_TYPES):
        positive, p = c == TARGETS, PROBABILITIES[:, c]
        one = FOUND["average_precision"][name]
        assert one["value"] == pytest.approx(sk.average_precision_score(positive, compute_bins(p)), abs=1e-12)
        assert abs(one["value"] - sk.average_precision_score(positive, p)) <= one["resolution"] + 1e-12
        false, true, _ = sk.roc_curve(positive, p, drop_intermediate=False)
        for floor in ("0.90", "0.95"):
            expected = true[false <= 1 - float(floor) + 1e-12].max()
            one = FOUND["sensitivity_at"][floor][name]
            assert abs(one["value"] - expected) <= one["resolution"] + 1e-9
            assert one["value"] == pytest.approx(expected, abs=0.06), "a few of fifty lesions"


def test_bounds_hold_for_any_scores():
    """Also for nets that say nearly the same of every lesion, or are sure of all."""
    rng = np.random.default_rng(8)
    for spread in (0.02, 0.3, 1.0, 6.0):
        for _ in range(30):
            y = rng.integers(0, 2, 80)
            p = 1 / (1 + np.exp(-spread * (rng.normal(size=80) + y - 0.5)))
            found = compute_binary(federated(y, p[:, None], "disease/HCC", 0))
            for name, truth in (
                ("auc", sk.roc_auc_score(y, p)),
                ("average_precision", sk.average_precision_score(y, p)),
                ("brier", sk.brier_score_loss(y, p)),
            ):
                assert abs(found[name]["value"] - truth) <= found[name]["resolution"] + 1e-12, (name, spread)


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
    assert read_counts({"a|b|c": torch.zeros(1)}, (COHORT, NET), Resampling(), {}) is None


def test_an_interval_stays_in_the_range_of_its_metric():
    rows = np.concatenate([[1.02], np.linspace(0.9, 1.1, 1001)])
    assert bootstrap_interval(rows, 5) == {"value": 1.0, "low": pytest.approx(0.905), "high": 1.0, "n": 5}


def test_metrics_of_noised_counts_are_near_and_their_intervals_hold_the_truth():
    """Noise of 3 lesions a cell over 40 draws: no bias to speak of, and the intervals are as wide as they must be."""
    rng = np.random.default_rng(0)
    targets, probabilities = rows_of(600, 6, 3)
    clean = federated(targets, probabilities, NET, 0)
    truth = compute_multi_class(clean, LESION_TYPES)
    inside = {"accuracy": 0, "macro_auc": 0}
    values = {name: [] for name in inside}
    for number in range(40):
        total = {
            f"{COHORT}|{NET}|{name}": torch.from_numpy(np.rint(t[0] + rng.normal(0, 3, t[0].shape)).astype(np.int64))
            for name, t in (("confusion", clean.confusion), ("scores", clean.scores))
        }
        noised = read_counts(total, (COHORT, NET), Resampling(number, 300, 3.0), {})
        found = compute_multi_class(noised, LESION_TYPES)
        for name in inside:
            values[name].append(found[name]["value"])
            inside[name] += found[name]["low"] <= truth[name]["value"] <= found[name]["high"]
        assert min(min(row) for row in found["confusion"]) >= 0
        assert all(np.diff(found["roc"]["HCC"]["tpr"]) >= 0)
    for name, count in inside.items():
        assert count >= 36
        assert np.mean(values[name]) == pytest.approx(truth[name]["value"], abs=0.01)
