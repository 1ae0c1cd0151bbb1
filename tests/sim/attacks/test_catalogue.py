"""Every attack finds what it claims at a site without defences, and nothing at sites under the policy as it comes."""

from __future__ import annotations

from pathlib import Path

import pytest
from attacked_sites import guarded_attacker, open_attacker

from ceus_models.protocol.messages import Level
from sim.attacks.catalogue import ATTACKS, Attack
from sim.attacks.trial import try_attack

BY_NAME = {attack.name: attack for attack in ATTACKS}
FOUND = {
    "fusion_memory": 1.0,
    "histogram_code": 1.0,
    "replicates": 1.0,
    "frame": 1.0,
    "refusal_oracle": 1.0,
    "tally_difference": 1.0,
    "tally_remainder": 0.8,
    "subgroup_tables": 1.0,
    "planned_histogram": 1.0,
    "plan_substitution": 1.0,
    "lone_type": 1.0,
    "planned_training": 0.3,
    "repeated_round": 0.8,
}
"""Share of the facts that an attack recovers at least where nothing stops it."""
AUDITS = ("canaries", "membership", "inversion")
IN_PLAN = ("planned_training", "repeated_round", "planned_histogram")
"""What the plan itself asks, with crafted weights: noise alone ends it."""


def expect(attack: Attack, level: Level) -> bool:
    return level in attack.levels and attack.name not in AUDITS


@pytest.mark.parametrize("name", FOUND)
def test_an_attack_finds_what_it_claims_where_nothing_stops_it(name: str, tmp_path: Path) -> None:
    outcome = try_attack(BY_NAME[name], open_attacker(tmp_path))
    assert outcome.recovered >= FOUND[name] * outcome.of > 0, outcome


@pytest.mark.parametrize("attack", [a for a in ATTACKS if expect(a, "none")], ids=lambda a: a.name)
def test_a_bound_site_answers_no_crafted_task(attack: Attack, tmp_path: Path) -> None:
    outcome = try_attack(attack, guarded_attacker(tmp_path, "none"))
    assert (outcome.recovered == 0) == (attack.name not in IN_PLAN), outcome


@pytest.mark.parametrize("attack", [a for a in ATTACKS if expect(a, "distributed")], ids=lambda a: a.name)
def test_nothing_is_found_under_noise(attack: Attack, tmp_path: Path) -> None:
    outcome = try_attack(attack, guarded_attacker(tmp_path, "distributed"))
    assert outcome.recovered == 0, outcome
