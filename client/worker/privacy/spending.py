"""The ledger summed up for people: what each study spent, what remains, and what an ε means for one patient."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ceus_models.plan.plan import Plan
from ceus_models.protocol.privacy.accountant import compute_epsilon
from client.policy.privacy_levels import PrivacyLevels
from client.worker.privacy.budget import BudgetLedger, Charge, Cost, compute_worst, list_planned_costs


@dataclass(frozen=True)
class StudySpending:
    """What one study spent of a patient's privacy.

    Args:
        study: digest of the plan.
        cohort: whose patients lost most.
        rounds: answers that were charged.
        epsilon: spent, with the noise of honest sites.
        own_epsilon: spent if only this site's own noise counts.
        cap: of the policy.
        rounds_left: answers like the last one until the cap; None without a bound on them.
    """

    study: str
    cohort: str
    rounds: int
    epsilon: float
    own_epsilon: float
    cap: float
    rounds_left: int | None


def summarize_spending(charges: Sequence[Charge], levels: PrivacyLevels) -> tuple[list[StudySpending], float]:
    """Sum up each study in order of its first charge, and ε over all of them."""
    costs = [charge.cost for charge in charges]
    studies = list(dict.fromkeys(cost.study for cost in costs))
    rows = [_summarize(study, [cost for cost in costs if cost.study == study], levels) for study in studies]
    return rows, compute_worst(costs, levels.delta)[1]


def describe_certainty(epsilon: float) -> str:
    """What an ε means in words: the largest certainty about one patient's part (Wood et al. 2018).

    >>> describe_certainty(3.0)
    'Whoever guessed 50:50 whether a given patient took part can be at most 95.3 % sure after all answers (ε 3.00).'
    """
    sure = 100 / (1 + math.exp(-epsilon))
    return (
        f"Whoever guessed 50:50 whether a given patient took part can be at most {sure:.1f} % sure after all answers "
        f"(ε {epsilon:.2f})."
    )


def charge_restored(ledger: BudgetLedger, plan: Plan, levels: PrivacyLevels, rounds: int | None) -> int:
    """Charge the rounds of a plan that a restored ledger may have lost.

    Args:
        rounds: that were answered by now; None for all that the plan has.

    Returns:
        How many were charged.
    """
    planned = list(list_planned_costs(plan, levels.colluding))
    held = {(c.stage, c.round) for c in (charge.cost for charge in ledger.charges()) if c.study == plan.digest()}
    lost = [cost for cost in planned[:rounds] if (cost.stage, cost.round) not in held]
    for cost in lost:
        event = f"restored {cost.study} {cost.stage} {cost.round}"
        ledger.charge(Charge(replace(cost, event=event), "unknown: the ledger came back from a backup"))
    return len(lost)


def _summarize(study: str, costs: list[Cost], levels: PrivacyLevels) -> StudySpending:
    cohort, epsilon = compute_worst(costs, levels.delta)
    alone = compute_worst([replace(cost, rate=cost.own_rate) for cost in costs], levels.delta)[1]
    left = _count_left(costs, levels)
    return StudySpending(study, cohort, len(costs), epsilon, alone, levels.epsilon, left)


def _count_left(costs: list[Cost], levels: PrivacyLevels) -> int | None:
    """Answers like the last one that the study's cap still allows."""
    last, spent = costs[-1].rate, math.fsum(cost.rate for cost in costs)
    low, high = 0, 1
    while compute_epsilon((spent + high * last) ** -0.5, levels.delta) <= levels.epsilon:
        low, high = high, 2 * high
        if high > 1 << 20:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        within = compute_epsilon((spent + middle * last) ** -0.5, levels.delta) <= levels.epsilon
        low, high = (middle, high) if within else (low, middle)
    return low
