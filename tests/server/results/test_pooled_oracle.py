"""Oracle: the pooled rows. Pairs, subgroups, readers and misdiagnoses of summed answers are what the rows say."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from made_readings import COHORT, answers, cases, targets_of, total_of
from sklearn import metrics as sk
from statsmodels.stats.contingency_tables import mcnemar as statsmodels_mcnemar

from ceus_models.study.reader_study import READERS, ROLES
from ceus_models.study.subgroups import SUBGROUPS
from ceus_models.study.taxonomy import FUSION_NETS, LESION_TYPES
from server.results.misdiagnoses import count_misdiagnoses
from server.results.pairs import compare_pairs
from server.results.pooled_cohorts import pool_cohorts
from server.results.reader_results import summarize_readers
from server.results.replicates import Resampling
from server.results.subgroup_results import (
    SMALLEST_CELL,
    build_table_one,
    expect_by_types,
    summarize_sites,
    summarize_subgroups,
)
from server.results.uncertainty.design_effect import CORRELATION
from server.results.uncertainty.proportions import wilson_interval

ROWS = cases(240)
TARGETS = targets_of(ROWS)
SAID = {net: p.argmax(1) for net, p in answers(ROWS).items()}
RIGHT = {net: said == TARGETS for net, said in SAID.items()}
TOTAL = total_of(ROWS)
DCB = "fusion/DCB"
DRAWS = Resampling(3, 4000)


def mcnemar(one, other):
    """(first only, second only, p) by statsmodels, at the usual rule."""
    table = np.zeros((2, 2), np.int64)
    np.add.at(table, (one.astype(int), other.astype(int)), 1)
    first, second = int(table[1, 0]), int(table[0, 1])
    return first, second, statsmodels_mcnemar(table, exact=first + second < 25, correction=True).pvalue


def bootstrap(values, rng, draws=3000):
    """2.5 and 97.5 % of a mean over resampled rows."""
    picked = rng.integers(0, len(values), (draws, len(values)))
    return np.percentile(np.asarray(values, float)[picked].mean(1), (2.5, 97.5))


def test_every_pair_of_models_is_compared_as_on_the_rows():
    found = {(one["first"], one["second"]): one for one in compare_pairs(TOTAL, COHORT, FUSION_NETS, DRAWS)}
    assert len(found) == 6
    for (a, b), one in found.items():
        first, second, p = mcnemar(RIGHT[a], RIGHT[b])
        assert (one["first_only"], one["second_only"], one["n"]) == (first, second, 240)
        assert one["p"] == pytest.approx(p, rel=1e-9)
        difference = RIGHT[a].astype(float) - RIGHT[b]
        low, high = bootstrap(difference, np.random.default_rng(1))
        assert one["difference"]["value"] == pytest.approx(difference.mean())
        assert one["difference"]["low"] == pytest.approx(low, abs=0.01)
        assert one["difference"]["high"] == pytest.approx(high, abs=0.01)


def test_subgroups_are_those_of_the_rows():
    found = summarize_subgroups(TOTAL, COHORT, DCB, DRAWS)
    assert found["withheld"] == dict.fromkeys(SUBGROUPS, 0)
    seen = 0
    for variable in list(SUBGROUPS)[:-1]:
        for value, one in found["variables"][variable].items():
            member = np.array([s.groups[variable] == value for s in ROWS])
            assert not one.get("suppressed") or member.sum() < 2 * SMALLEST_CELL
            if not one.get("suppressed"):
                assert one["n"] == member.sum()
                assert one["value"] == pytest.approx(RIGHT[DCB][member].mean())
                seen += 1
    assert seen > 25


def test_intervals_of_subgroups_are_those_of_the_rows():
    """Within 0.01 of a bootstrap over rows, where a lesion is less than that."""
    rows = cases(900)
    right = answers(rows)[DCB].argmax(1) == targets_of(rows)
    found, wide = summarize_subgroups(total_of(rows), COHORT, DCB, Resampling(3, 6000))["variables"], 0
    for variable in list(SUBGROUPS)[:-1]:
        for value, one in found[variable].items():
            member = np.array([s.groups[variable] == value for s in rows])
            if member.sum() >= 150:
                low, high = bootstrap(right[member], np.random.default_rng(2), 6000)
                assert one["low"] == pytest.approx(low, abs=0.01), (variable, value)
                assert one["high"] == pytest.approx(high, abs=0.01), (variable, value)
                wide += 1
    assert wide > 20


def test_table_one_counts_the_rows():
    found = build_table_one(TOTAL, COHORT)
    for variable in list(SUBGROUPS)[:-1]:
        values, counts = np.unique([s.groups[variable] for s in ROWS], return_counts=True)
        assert found[variable] == dict(zip(values.tolist(), counts.tolist(), strict=True))


def test_expected_accuracies_are_those_of_a_table_by_type():
    found = expect_by_types(TOTAL, COHORT, DCB)
    rows = pd.DataFrame({"type": TARGETS, "right": RIGHT[DCB]})
    rows["expected"] = rows.groupby("type")["right"].transform("mean")
    for variable in list(SUBGROUPS)[:-1]:
        by_value = rows["expected"].groupby([s.groups[variable] for s in ROWS]).mean()
        assert found[variable] == pytest.approx(by_value.to_dict())


def test_readers_are_those_of_the_rows():
    found = summarize_readers(TOTAL, COHORT, FUSION_NETS, DRAWS)
    assert set(found["readers"]) == set(READERS), "a reader of another name is counted by role only"
    for code, one in found["readers"].items():
        reads = [(i, r) for i, s in enumerate(ROWS) for r in s.readings if r.reader == code]
        for mode, assisted in (("alone", False), ("assisted", True)):
            own = [(i, r.diagnosis) for i, r in reads if r.assisted is assisted]
            assert (mode in one) == bool(own)
            if not own:
                continue
            rows = np.array([i for i, _ in own])
            said = np.array([LESION_TYPES.index(d) for _, d in own])
            assert one[mode]["confusion"] == sk.confusion_matrix(TARGETS[rows], said, labels=range(6)).tolist()
            assert one[mode]["accuracy"]["value"] == pytest.approx(sk.accuracy_score(TARGETS[rows], said))
            assert one[mode]["accuracy"]["n"] == len(rows)
            expected = sk.recall_score(TARGETS[rows], said, labels=range(6), average="macro")
            assert one[mode]["macro_recall"] == pytest.approx(expected)
            for net in FUSION_NETS:
                first, second, p = mcnemar(RIGHT[net][rows], said == TARGETS[rows])
                test = one["against"][net][mode]
                assert (test["first_only"], test["second_only"], test["n"]) == (first, second, len(rows))
                assert test["p"] == pytest.approx(p, rel=1e-9)
                assert test["difference"]["value"] == pytest.approx((first - second) / len(rows))
        if "assisted" in one:
            alone = {i: r.diagnosis == ROWS[i].label for i, r in reads if not r.assisted}
            helped = {i: r.diagnosis == ROWS[i].label for i, r in reads if r.assisted}
            both = sorted(alone.keys() & helped.keys())
            first, second, p = mcnemar(np.array([alone[i] for i in both]), np.array([helped[i] for i in both]))
            assert (one["assistance"]["first_only"], one["assistance"]["second_only"]) == (first, second)
            assert one["assistance"]["p"] == pytest.approx(p, rel=1e-9)
            times = [{i: r.seconds for i, r in reads if r.assisted is how} for how in (False, True)]
            logs = np.log([times[1][i] / times[0][i] for i in both])
            assert one["seconds_ratio"]["value"] == pytest.approx(np.exp(logs.mean()))


def test_a_role_is_all_its_readers_with_intervals_over_lesions():
    found = summarize_readers(TOTAL, COHORT, FUSION_NETS, DRAWS)["roles"]
    for role in ROLES:
        right = [[r.diagnosis == s.label for r in s.readings if r.role == role and not r.assisted] for s in ROWS]
        n, hits = np.array([len(r) for r in right]), np.array([sum(r) for r in right])
        one = found[role]["alone"]["accuracy"]
        assert (one["n"], one["value"]) == (n.sum(), pytest.approx(hits.sum() / n.sum()))
        picked = np.random.default_rng(4).integers(0, len(ROWS), (3000, len(ROWS)))
        low, high = np.percentile(hits[picked].sum(1) / n[picked].sum(1), (2.5, 97.5))
        assert one["low"] <= low < high <= one["high"], (
            "readings of a lesion may be alike: wider than where they are not"
        )
        reads = [
            sum(r.reader == code for s in ROWS for r in s.readings if not r.assisted) for code in (*READERS, "Dr. Li")
        ]
        own = [m for m, code in zip(reads, (*READERS, "Dr. Li"), strict=True) if READERS.get(code, "senior") == role]
        n_effective = n.sum() / (1 + (n.sum() / max(own) - 1) * CORRELATION)
        expected = wilson_interval(one["value"] * n_effective, n_effective)
        assert (one["low"], one["high"]) == pytest.approx(expected)


def test_misdiagnoses_are_those_of_the_rows():
    found = count_misdiagnoses(TOTAL, COHORT, DCB, DRAWS)
    true, said = np.array(LESION_TYPES)[TARGETS], np.array(LESION_TYPES)[SAID[DCB]]
    malignant = np.isin(true, ("HCC", "HM", "ICC"))
    wrong = malignant & np.isin(said, ("HH", "HA"))
    one = found["malignant_as_benign"]
    assert (one["count"], one["of"]) == (wrong.sum(), malignant.sum())
    low, high = bootstrap(wrong[malignant], np.random.default_rng(5))
    assert one["low"] == pytest.approx(low, abs=0.01)
    assert one["high"] == pytest.approx(high, abs=0.01)
    pair = np.isin(true, ("HCC", "HM"))
    swapped = ((true == "HCC") & (said == "HM")) | ((true == "HM") & (said == "HCC"))
    assert (found["hcc_hm_confusion"]["count"], found["hcc_hm_confusion"]["of"]) == (swapped.sum(), pair.sum())
    top = found["frequent"][0]
    assert (
        top["count"]
        == ((true == top["true"]) & (said == top["said"])).sum()
        == max(f["count"] for f in found["frequent"])
    )


def test_a_pool_is_the_sum_of_its_cohorts():
    both = TOTAL | {name.replace(COHORT, "external_test_a"): tensor for name, tensor in TOTAL.items()}
    found = pool_cohorts(both)
    one, twice = count_misdiagnoses(both, COHORT, DCB, DRAWS), count_misdiagnoses(found, "external_tests", DCB, DRAWS)
    assert twice["hm_ha_confusion"]["of"] == 2 * one["hm_ha_confusion"]["of"]
    assert compare_pairs(found, "all_tests", FUSION_NETS, DRAWS)[0]["n"] == 480
    assert not any(name.startswith(("external_tests", "all_tests")) for name in pool_cohorts(TOTAL)), "one is no pool"


def test_small_subgroups_are_held_back_by_sites_and_by_the_results():
    few = ROWS[:40]
    free = summarize_subgroups(total_of(few), COHORT, DCB, DRAWS)
    strict = summarize_subgroups(total_of(ROWS, sites=2, cell=5), COHORT, DCB, DRAWS)
    assert sum(strict["withheld"].values()) > 0 == sum(free["withheld"].values())
    assert max(strict["withheld"].values()) <= 2, "a site says it once a variable"
    assert free["suppressed"] > 0
    hidden = [v for values in free["variables"].values() for v in values.values() if v.get("suppressed")]
    assert len(hidden) == free["suppressed"]
    assert all(v["value"] is None and v["n"] is None for v in hidden)
    shown = [v for values in strict["variables"].values() for v in values.values() if not v.get("suppressed")]
    assert shown
    assert all(v["n"] >= 10 and 0 < v["value"] < 1 for v in shown), "a cell of right and of wrong answers"


def test_noise_widens_what_is_compared():
    clean = compare_pairs(TOTAL, COHORT, FUSION_NETS, DRAWS)[0]
    noised = compare_pairs(TOTAL, COHORT, FUSION_NETS, Resampling(3, 4000, noise_sd=10.0))[0]
    assert noised["difference"]["high"] - noised["difference"]["low"] > 1.2 * (
        clean["difference"]["high"] - clean["difference"]["low"]
    )
    assert (noised["test"], noised["p_exact"]) == ("chi-square", None)
    assert noised["p"] > clean["p_chi_square"]


def test_a_site_is_shown_as_far_as_it_lets():
    state = {f"site-{n}|{COHORT}|{DCB}|own": np.array(own) for n, own in enumerate([(10, 7), (0, 0)])}
    found = summarize_sites(state, COHORT, DCB, Resampling())
    low, high = wilson_interval(7, 10)
    assert found == {"site-0": {"value": 0.7, "low": low, "high": high, "n": 10, "right": 7}}
