"""Oracles: statsmodels' meta-analysis, SciPy's t, Newcombe by statsmodels; the flow adds up."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats
from statsmodels.stats.meta_analysis import combine_effects
from statsmodels.stats.proportion import confint_proportions_2indep

from ceus_models.plan.plan import Plan
from ceus_models.plan.progress import Progress
from ceus_models.plan.stages import Evaluate, Hello, Statistics
from ceus_models.plan.terms.participation import RoundRecord
from ceus_models.study.taxonomy import CLINICAL_NAMES
from server.results.population.flow import count_flow
from server.results.population.group_gaps import find_gaps
from server.results.population.heterogeneity import summarize_heterogeneity
from server.results.population.missing_data import count_missing

SITES = [(40, 31), (25, 24), (60, 38), (18, 15), (33, 20), (90, 80)]


def named(sites: list[tuple[int, int]]) -> dict[str, dict[str, int]]:
    return {f"site-{k}": {"n": n, "right": right} for k, (n, right) in enumerate(sites)}


def to_share(log_odds: float) -> float:
    return 1 / (1 + np.exp(-log_odds))


@pytest.mark.parametrize("sites", [SITES, SITES[:3], [(50, 40), (51, 41), (49, 39), (50, 41)]])
def test_random_effects_are_statsmodels(sites):
    found = summarize_heterogeneity(named(sites))
    right = np.array([r for _, r in sites], float)
    wrong = np.array([n - r for n, r in sites], float)
    pooled = combine_effects(np.log(right / wrong), 1 / right + 1 / wrong, method_re="dl")
    table = pooled.summary_frame()
    alike = pooled.tau2 < 0  # statsmodels goes on with a variance below 0; ours is 0 there, which is the fixed effect
    effect = table.loc["fixed effect" if alike else "random effect", "eff"]
    spread = pooled.sd_eff_w_fe if alike else max(pooled.sd_eff_w_re_hksj, pooled.sd_eff_w_re)
    assert found["mean"]["value"] == pytest.approx(to_share(effect))
    ends = [to_share(effect + side * stats.t.ppf(0.975, len(sites) - 1) * spread) for side in (-1, 1)]
    assert (found["mean"]["low"], found["mean"]["high"]) == pytest.approx(tuple(ends))
    assert found["i_squared"] == pytest.approx(max(0.0, pooled.i2))
    assert found["tau_squared"] == pytest.approx(max(0.0, pooled.tau2))
    assert found["q"] == pytest.approx(pooled.q)


def test_the_prediction_interval_holds_another_site_as_often_as_it_says():
    rng, held = np.random.default_rng(3), []
    for _ in range(800):
        truth = to_share(rng.normal(1.2, 0.6, 13))
        sites = [(120, int(rng.binomial(120, p))) for p in truth[:12]]
        one = summarize_heterogeneity(named(sites))["prediction"]
        held.append(one["low"] <= truth[12] <= one["high"])
    assert 0.91 < np.mean(held) < 0.98


def test_sites_that_agree_leave_an_interval():
    one = summarize_heterogeneity(named([(40, 30)] * 4))["mean"]
    assert one["low"] < 0.68
    assert one["high"] > 0.81


def test_two_sites_are_too_few_and_a_perfect_site_is_no_fault():
    assert summarize_heterogeneity(named(SITES[:2])) == summarize_heterogeneity({}) == {}
    found = summarize_heterogeneity(named([(12, 12), (15, 9), (20, 14)]))
    assert 0 < found["mean"]["low"] < found["mean"]["high"] < 1


def test_the_gap_is_the_largest_and_its_interval_knows_of_the_other_pairs():
    values = {
        name: {"value": right / n, "n": n} for name, (right, n) in {"a": (30, 40), "b": (45, 50), "c": (24, 40)}.items()
    }
    hidden = {"d": {"value": None, "n": None}, "unknown": {"value": 0.1, "n": 90}}
    one = find_gaps({"v": {**values, **hidden}, "w": {"a": values["a"]}})
    assert set(one) == {"v"}
    assert (one["v"]["highest"], one["v"]["lowest"], one["v"]["pairs"]) == ("b", "c", 3)
    low, high = confint_proportions_2indep(45, 50, 24, 40, method="newcomb", compare="diff", alpha=0.05 / 3)
    found = one["v"]["difference"]
    assert (found["value"], found["low"], found["high"]) == pytest.approx((0.3, low, high))


def test_an_adjusted_gap_is_what_the_lesions_types_do_not_explain():
    """b has the easier types: its lead is half explained, and c is ahead of it beyond its types."""
    values = {name: {"value": right / 50, "n": 50} for name, right in {"a": 30, "b": 45, "c": 40}.items()}
    expected = {"v": {"a": 0.7, "b": 0.9, "c": 0.6}}
    one = find_gaps({"v": values}, expected=expected)["v"]
    assert (one["highest"], one["lowest"]) == ("b", "a")
    adjusted = one["adjusted"]
    assert (adjusted["highest"], adjusted["lowest"], adjusted["pairs"]) == ("c", "a", 3)
    low, high = confint_proportions_2indep(40, 50, 30, 50, method="newcomb", compare="diff", alpha=0.05 / 3)
    found = adjusted["difference"]
    assert (found["value"], found["low"], found["high"]) == pytest.approx((0.3, low + 0.1, high + 0.1))
    assert "adjusted" not in find_gaps({"v": values}, expected={"v": {"a": 0.7}})["v"]


def test_a_gap_between_equal_groups_is_rarely_called_one():
    rng, wrong = np.random.default_rng(5), 0
    for _ in range(1000):
        values = {name: {"value": rng.binomial(60, 0.8) / 60, "n": 60} for name in "abcd"}
        wrong += find_gaps({"v": values})["v"]["difference"]["low"] > 0
    assert wrong / 1000 < 0.05


PLAN = Plan(
    name="p",
    stages=(
        Hello("hello"),
        Statistics("statistics"),
        Evaluate("evaluate", "test", ("fusion",), ("external_test_c",), 0),
    ),
)
HELD = {"a": {"external_test_c": 30, "training_a": 9}, "b": {"external_test_c": 12}, "c": {"external_test_c": 8}}
PEOPLE = {"a": {"external_test_c": 27, "training_a": 9}, "b": {"external_test_c": 12}, "c": {"external_test_c": 7}}
RECORD = RoundRecord("test", "evaluate", 0, counted=("a",), refused={"b": "the policy"}, lost={"c": "late"})


def test_the_flow_of_a_cohort_adds_up():
    progress = Progress(counts=HELD, patients=PEOPLE, totals={"test": {}}, participation=(RECORD,))
    found = count_flow(progress, PLAN, {"external_test_c": 25})
    one = found["external_test_c"]
    assert (one["sites"], one["lesions"], one["patients"]) == (3, 50, 46)
    assert one["refused"] == {"sites": 1, "lesions": 12}
    assert one["lost"] == {"sites": 1, "lesions": 8}
    assert one["excluded"] == {"sites": 0, "lesions": 0}
    assert one["counted"] + one["held_back"] + 12 + 8 == one["lesions"]
    assert found["training_a"] == {"sites": 1, "lesions": 9, "patients": 9}, "nothing was asked of it"
    assert count_flow(Progress(), PLAN, {}) == {}


def test_missing_values_are_those_that_the_tally_did_not_count():
    clinical = torch.zeros(len(CLINICAL_NAMES), 3, dtype=torch.float64)
    clinical[CLINICAL_NAMES.index("AFP"), 0] = 31
    total = {"training_a|clinical": clinical, "training_a|types": torch.tensor([20, 10, 5, 5, 0, 0])}
    found = count_missing(Progress(totals={"statistics": total}), PLAN)
    assert found == {"training_a": {"lesions": 40, "known": {"AFP": 31}}}
    assert count_missing(Progress(), PLAN) == {}
