"""The bound of the one-run audit by hand, and the audit of a site without noise and with it."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
from attacked_sites import guarded_attacker, open_attacker

from sim.attacks.audits.canaries import compute_bound, judge_canaries
from sim.attacks.catalogue import ATTACKS
from sim.attacks.coordinator import CuriousCoordinator
from sim.attacks.trial import Outcome, try_attack

CANARIES = next(attack for attack in ATTACKS if attack.name == "canaries")


@pytest.mark.parametrize("guesses", [20, 100])
def test_bound_of_guesses_that_are_all_right(guesses: int) -> None:
    """P[Bin(r, p) ≥ r] = p^r is at most 0.01 for p = 0.01^(1/r), and ε = log(p / (1 - p))."""
    p = 0.01 ** (1 / guesses)
    assert compute_bound(guesses, guesses, 2 * guesses, delta=0.0) == pytest.approx(math.log(p / (1 - p)), abs=0.011)


def test_bound_grows_with_right_guesses_and_falls_with_delta() -> None:
    assert compute_bound(100, 50, 200) == 0.0
    assert 0.0 < compute_bound(100, 80, 200) < compute_bound(100, 95, 200)
    assert compute_bound(100, 95, 200, delta=1e-3) < compute_bound(100, 95, 200, delta=0.0)


def test_guesses_at_random_prove_nothing() -> None:
    true = [(float(place), float(place % 2)) for place in range(200)]
    always = [(float(place), 1.0) for place in range(200)]
    assert judge_canaries(always, true).recovered == 0
    assert judge_canaries([], true).bound == 0.0


def audit(attacker: CuriousCoordinator) -> Outcome:
    return try_attack(CANARIES, replace(attacker, recipe=replace(attacker.recipe, fusion_hidden=8)))


def test_canaries_are_told_apart_where_there_is_no_noise(tmp_path: Path) -> None:
    outcome = audit(open_attacker(tmp_path))
    assert outcome.bound is not None
    assert outcome.bound > 1.0
    assert outcome.claim is None


def test_the_bound_stays_below_the_claim(tmp_path: Path) -> None:
    outcome = try_attack(CANARIES, guarded_attacker(tmp_path, "local", units=8))
    assert not outcome.code
    assert outcome.claim is not None
    assert outcome.bound is not None
    assert outcome.bound <= outcome.claim
    assert not outcome.breaks_claim
    assert replace(outcome, bound=outcome.claim + 0.1).breaks_claim
