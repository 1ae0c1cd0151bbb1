"""Oracles on pooled rows: SciPy's t intervals of logarithms, scikit-learn's area under the ROC curve."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score

from client.worker.tasks.counts.reading_effort import count_confidence, sum_seconds, sum_seconds_change
from server.results.readers.effort import summarize_confidence, summarize_seconds, summarize_seconds_of_role
from server.results.replicates import Resampling

RNG = np.random.default_rng(4)
ALONE, ASSISTED = RNG.lognormal(4, 0.5, 70), RNG.lognormal(3.8, 0.5, 70)


def test_the_mean_time_is_geometric_with_the_interval_of_the_logarithms():
    found = summarize_seconds(sum_seconds(ALONE, 1), 1.0)
    ends = stats.t.interval(0.95, 69, np.log(ALONE).mean(), stats.sem(np.log(ALONE)))
    assert found["value"] == pytest.approx(stats.gmean(ALONE))
    assert (found["low"], found["high"]) == pytest.approx(tuple(np.exp(ends)))
    assert found["n"] == 70


def test_the_change_of_time_is_the_paired_t_test_of_logarithms():
    rows = np.arange(70)
    found = summarize_seconds(sum_seconds_change((rows[:60], ALONE[:60]), (rows[10:], ASSISTED[10:]), 1), 1.0)
    paired = stats.ttest_rel(np.log(ASSISTED[10:60]), np.log(ALONE[10:60]))
    ends = paired.confidence_interval()
    assert found["n"] == 50
    assert (found["low"], found["high"]) == pytest.approx((np.exp(ends.low), np.exp(ends.high)))


def test_the_time_of_a_role_has_the_interval_over_its_readers():
    readers = RNG.lognormal(4, 0.3, (3, 40))
    found = summarize_seconds_of_role(np.array([sum_seconds(one, 1) for one in readers]))
    means = np.log(readers).mean(1)
    ends = stats.t.interval(0.95, 2, means.mean(), stats.sem(means))
    assert (found["value"], found["low"], found["high"]) == pytest.approx((np.exp(means.mean()), *np.exp(ends)))
    assert summarize_seconds_of_role(np.array([sum_seconds(readers[0], 1), np.zeros(3)])) is None


def test_few_reads_and_reads_without_a_time_are_not_added():
    assert not sum_seconds(ALONE[:4], 5).any()
    assert sum_seconds(ALONE[:5], 5).any()
    assert not sum_seconds(np.append(ALONE, np.nan), 5).any()
    assert sum_seconds(np.array([0.0, 1.0]), 1).tolist() == [2.0, 0.0, 0.0], "under a second counts as one"
    assert summarize_seconds(np.zeros(3), 1.0) is None


def test_times_that_are_all_alike_have_no_interval():
    found = summarize_seconds(sum_seconds(np.full(9, 30.0), 1), 1.0)
    assert (round(found["value"], 9), found["low"], found["high"]) == (30.0, None, None)


def test_confidence_is_held_against_being_right():
    right = RNG.random(200) < 0.7
    sure = np.clip(np.round(RNG.normal(3 + right, 1.0)), 1, 5).astype(int)
    found = summarize_confidence(count_confidence(sure, right, 1), Resampling(1, 2000), "x")
    assert found["auc"]["value"] == pytest.approx(roc_auc_score(right, sure))
    assert (found["mean"], found["mean_right"]) == pytest.approx((sure.mean(), sure[right].mean()))
    assert found["mean_wrong"] == pytest.approx(sure[~right].mean())
    picked = RNG.integers(0, 200, (2000, 200))
    low, high = np.percentile([roc_auc_score(right[rows], sure[rows]) for rows in picked], (2.5, 97.5))
    assert (found["auc"]["low"], found["auc"]["high"]) == pytest.approx((low, high), abs=0.015)


def test_confidence_with_a_small_count_is_held_back_whole():
    sure, right = np.repeat([1, 2, 3, 4, 5], [20, 20, 30, 30, 30]), np.arange(130) % 2 == 0
    assert count_confidence(sure, right, 5).sum() == 130
    assert not count_confidence(np.append(sure, 0), np.append(right, True), 5).any(), "one read without it"
    assert not count_confidence(np.append(sure[20:], 1), np.append(right[20:], True), 5).any(), "a guess alone"
    assert count_confidence(sure[20:], right[20:], 5).sum() == 110, "that nobody guessed may be told"
