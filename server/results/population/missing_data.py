"""How many lesions lack a value: of the clinical variables where they were tallied, of the groups wherever counted."""

from __future__ import annotations

from typing import Any

from ceus_models.plan.plan import Plan
from ceus_models.plan.progress import Progress
from ceus_models.plan.stages import Statistics
from ceus_models.study.taxonomy import CLINICAL_NAMES, COHORTS


def count_missing(progress: Progress, plan: Plan) -> dict[str, Any]:
    """Cohort → {`lesions`, `known`: {clinical variable: lesions with a value}}, of the cohorts that were tallied.

    A variable without any known value is left out: a site counts none where they are fewer than its minimum cell, so a
    0 can be either. For the same reason `known` may be too low, never too high.
    """
    stage = next((s for s in plan.stages if isinstance(s, Statistics) and s.name in progress.totals), None)
    total = {} if stage is None else progress.totals[stage.name]
    found: dict[str, Any] = {}
    for cohort in COHORTS:
        if f"{cohort}|clinical" not in total:
            continue
        known = total[f"{cohort}|clinical"][:, 0].tolist()
        counts = {name: round(n) for name, n in zip(CLINICAL_NAMES, known, strict=True) if n > 0}
        lesions = int(total[f"{cohort}|types"].sum())
        if lesions and counts:
            found[cohort] = {"lesions": lesions, "known": counts}
    return found
