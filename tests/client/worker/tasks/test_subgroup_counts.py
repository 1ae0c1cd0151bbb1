"""Subgroups of a classifier: which are left out, and that nothing else gives them away."""

from __future__ import annotations

import numpy as np
from made_readings import cases
from toy_lesions import lesions

from ceus_models.study.subgroups import SUBGROUPS, build_slices
from client.worker.tasks.paired_counts import Verdicts
from client.worker.tasks.subgroup_counts import count_members, count_values, subgroup_counts


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
    rng = np.random.default_rng(1)
    for seed in range(10):
        own = cases(90, seed)
        hidden = (count_members(own).sum(0) > 0) & (count_values(own, 5).numpy() == 0)
        for _ in range(3):
            verdicts = Verdicts(np.arange(90), rng.random(90) < 0.6)
            assert not subgroup_counts(own, verdicts, 5)["groups"][hidden].any()


def test_a_classifier_of_a_part_of_the_lesions_has_no_subgroups() -> None:
    """Beside those of one that was asked about all they would single out the rest."""
    own = cases(200)
    rows = np.arange(190)
    found = subgroup_counts(own, Verdicts(rows, rows % 2 == 0), 5)
    assert not found["groups"].any()
    assert found["own"].tolist() == [190, 95]
    assert int(subgroup_counts(own, Verdicts(rows, rows % 2 == 0), 1)["groups"].sum()) > 0
