"""What a study gave away of a patient's privacy, by its plan: the level of each stage, and ε of each cohort."""

from __future__ import annotations

from typing import Any

from ceus_models.plan.plan import Plan
from ceus_models.plan.words.privacy_cost import compute_costs


def summarize_privacy(plan: Plan) -> dict[str, Any]:
    """Summarize levels and cost of a plan whose rounds were all answered; fewer answers cost less.

    Returns:
        `mechanism` ("none" or "patient-level noise"), `epsilon` (of the cohort that lost most; None without noise),
        `delta`, `levels` by stage, and `cohorts`: {cohort: {epsilon, own_epsilon}}, the second where all other sites
        tell their noise.
    """
    costs = compute_costs(plan)
    return {
        "mechanism": "patient-level noise" if costs else "none",
        "epsilon": max((cost.honest for cost in costs), default=None),
        "delta": plan.delta,
        "levels": {stage.name: getattr(stage, "level", "none") for stage in plan.stages[1:]},
        "cohorts": {cost.cohort: {"epsilon": cost.honest, "own_epsilon": cost.own} for cost in costs},
    }
