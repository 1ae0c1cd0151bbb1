"""The flow of patients and lesions of each cohort, from what sites declared to what was counted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ceus_models.plan.plan import Plan
from ceus_models.plan.progress import Progress
from ceus_models.plan.stages import Evaluate, Statistics
from ceus_models.plan.terms.participation import RoundRecord
from ceus_models.study.taxonomy import COHORTS

FATES = ("refused", "excluded", "lost")


def count_flow(progress: Progress, plan: Plan, counted: Mapping[str, int]) -> dict[str, Any]:
    """The flow of every declared cohort.

    Args:
        progress: of the study.
        plan: its stages.
        counted: cohort → lesions that its last evaluation, or its tally, counted.

    Returns:
        Cohort → `sites`, `lesions` and `patients` that were declared, those of sites that were `refused`, `excluded` or
        `lost` when the cohort was asked about, `held_back` (without a type, or below a site's minimum cell), and
        `counted`, both without where nothing was asked.
    """
    found: dict[str, Any] = {}
    for cohort in COHORTS:
        sites = [site for site, held in progress.counts.items() if held.get(cohort)]
        if not sites:
            continue
        lesions = _sum_lesions(progress, sites, cohort)
        one = {"sites": len(sites), "lesions": lesions, "patients": progress.count_patients(sites, (cohort,))}
        found[cohort] = one | _count_losses(progress, plan, cohort, counted.get(cohort))
    return found


def _count_losses(progress: Progress, plan: Plan, cohort: str, counted: int | None) -> dict[str, Any]:
    record = _find_record(progress, plan, cohort)
    if record is None or counted is None:
        return {}
    gone = {}
    for fate in FATES:
        sites = [site for site in getattr(record, fate) if progress.counts.get(site, {}).get(cohort)]
        gone[fate] = {"sites": len(sites), "lesions": _sum_lesions(progress, sites, cohort)}
    declared = _sum_lesions(progress, progress.counts, cohort)
    rest = declared - sum(one["lesions"] for one in gone.values()) - counted
    return {**gone, "held_back": max(0, rest), "counted": counted}


def _find_record(progress: Progress, plan: Plan, cohort: str) -> RoundRecord | None:
    """The round in which the lesions of a cohort were counted: of its last evaluation, else of the tally."""
    asked = {
        kind: [s.name for s in plan.stages if isinstance(s, kind) and cohort in _list_cohorts(s)]
        for kind in (Evaluate, Statistics)
    }
    names = [name for name in asked[Evaluate] or asked[Statistics] if name in progress.totals]
    records = [record for record in progress.participation if names and record.stage == names[-1]]
    return records[-1] if records else None


def _list_cohorts(stage: Evaluate | Statistics) -> tuple[str, ...]:
    return (*stage.cohorts, *stage.fusion_cohorts) if isinstance(stage, Statistics) else stage.cohorts


def _sum_lesions(progress: Progress, sites: Iterable[str], cohort: str) -> int:
    return sum(progress.count_lesions(site, (cohort,)) for site in sites)
