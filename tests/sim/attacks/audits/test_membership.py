"""Membership is counted only where the scores tell members from others better than chance."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from attacked_sites import open_attacker

from sim.attacks.audits.membership import judge_members, list_members, recover_members

TRUE = [(float(place), float(place < 30)) for place in range(60)]


def test_members_that_stand_out_are_counted() -> None:
    claimed = [(float(place), 5.0 - place) for place in range(60)]
    score = judge_members(claimed, TRUE)
    assert (score.recovered, score.of, score.note) == (30, 30, "AUC 1.00")


def test_scores_at_random_find_nobody() -> None:
    draws = np.random.default_rng(3).normal(size=60)
    score = judge_members([(float(place), float(draw)) for place, draw in enumerate(draws)], TRUE)
    assert score.recovered == 0


def test_every_patient_gets_a_score(tmp_path: Path) -> None:
    attacker = open_attacker(tmp_path)
    attacker.greet()
    claimed = recover_members(attacker, shadows=6, rounds=2)
    assert [patient for patient, _ in claimed] == [patient for patient, _ in list_members(attacker)]
    assert np.isfinite([ratio for _, ratio in claimed]).all()
