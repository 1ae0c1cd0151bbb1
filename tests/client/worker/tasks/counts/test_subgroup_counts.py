"""Subgroups of a classifier: which are left out, and that nothing else gives them away."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from made_readings import cases
from toy_lesions import lesions

from ceus_models.study.subgroups import SUBGROUPS, build_slices
from ceus_models.study.suppression import find_small_groups
from client.worker.tasks.counts.paired_counts import Verdicts
from client.worker.tasks.counts.subgroup_counts import count_members, count_values, subgroup_counts


def test_a_site_with_few_of_a_verdict_says_nothing_of_itself() -> None:
    verdicts = Verdicts(np.arange(12), np.arange(12) < 7)
    assert subgroup_counts(lesions(12), verdicts, 5)["own"].tolist() == [12, 7]
    silent = subgroup_counts(lesions(12), verdicts, 6)
    assert silent["own"].tolist() == [0, 0]
    assert int(silent["groups"].sum()) == 0
    assert silent["withheld"].tolist() == [1] * len(SUBGROUPS)


def test_a_group_needs_a_cell_of_both_verdicts() -> None:
    own = cases(300)
    right = np.random.default_rng(0).random(300) < 0.8
    member = count_members(own)
    whole = np.stack([member.sum(0), right @ member], axis=1)
    found = subgroup_counts(own, Verdicts(np.arange(300), right), 5)["groups"].numpy()
    shown = found[:, 0] > 0
    assert np.array_equal(found[shown], whole[shown])
    assert (found[shown, 1] >= 5).all()
    assert (found[shown, 0] - found[shown, 1] >= 5).all()
    assert 5 < shown.sum() < len(shown)
    for span in build_slices().values():
        rest = (whole - found)[span].sum(0)
        assert rest[0] == 0 or (min(rest[1], rest[0] - rest[1]) >= 5) or not shown[span].any()


def test_what_the_tally_holds_back_the_subgroups_hold_back_too() -> None:
    """Three of an age hide twenty of another in the tally. Of verdicts they would hide the thirty, and show the twenty:
    with both tables the three would be what is left.
    """
    ages = ["<50"] * 3 + ["50-60"] * 20 + [">60"] * 30
    own = [replace(s, groups={**s.groups, "age": age}) for s, age in zip(cases(53), ages, strict=True)]
    wrong = np.isin(np.arange(53), [0, *range(3, 8), *range(23, 27)])
    span = build_slices()["age"]
    assert count_values(own, 5)[span].tolist() == [0, 0, 30, 0]
    member = count_members(own)[:, span]
    verdicts = np.stack([wrong @ member, ~wrong @ member], 1)
    assert find_small_groups(verdicts, 5, verdicts=True).tolist() == [True, False, True, False]
    assert not subgroup_counts(own, Verdicts(np.arange(53), ~wrong), 5)["groups"][span].any()


def test_a_classifier_of_a_part_of_the_lesions_has_no_subgroups() -> None:
    """Beside those of one that was asked about all they would single out the rest."""
    own = cases(200)
    rows = np.arange(190)
    found = subgroup_counts(own, Verdicts(rows, rows % 2 == 0), 5)
    assert not found["groups"].any()
    assert found["own"].tolist() == [190, 95]
    assert int(subgroup_counts(own, Verdicts(rows, rows % 2 == 0), 1)["groups"].sum()) > 0
