"""Made-up charges of a privacy ledger, and a plan that makes them."""

from __future__ import annotations

from dataclasses import replace

from ceus_models.plan.plan import Plan
from ceus_models.plan.stages import Hello, Statistics
from ceus_models.plan.train_stage import Train
from ceus_models.protocol.messages import LocalRule, PrivateRule
from client.policy.privacy_levels import PrivacyLevels
from client.worker.privacy.budget import BudgetLedger, Charge, Cost

DELTA = 1e-5
LEVELS = PrivacyLevels()
NETS = ("disease/HCC", "disease/HM")
RULE = LocalRule(momentum=0.0, private=PrivateRule(1.0, 20.0, sites=12))


def cost(number: int, study: str = "a", cohort: str = "training_a", z: float = 20.0) -> Cost:
    return Cost(f"{study}-{cohort}-{number}", study, (cohort,), "stage", number, 1, z**-2, 12 * z**-2)


def charge(ledger: BudgetLedger, *costs: Cost) -> None:
    for one in costs:
        ledger.charge(Charge(one, f"payload of {one.event}"))


def plan_of(rounds: int, z: float = 20.0, sites: int = 12) -> Plan:
    rule = replace(RULE, private=PrivateRule(1.0, z, sites=sites))
    stages = (
        Hello("hello"),
        Statistics("statistics"),
        Train(
            "train", "private", ("disease/HCC", "disease/HM"), ("training_a",), rounds, rule=rule, level="distributed"
        ),
    )
    return Plan("private", stages)
