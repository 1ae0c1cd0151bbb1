"""What a study found, as one plain dictionary: results.json."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from ceus_models.state import digest
from ceus_models.taxonomy import CLINICAL_NAMES, FUSION_NETS, LESION_TYPES, outputs_of
from server.evaluation import binary, classes_of, counts_of, multi_class
from server.plan import Plan
from server.progress import Progress
from server.selection import expanded
from server.stages import Evaluate, Statistics
from server.statistics import correlations


def results(progress: Progress, plan: Plan) -> dict[str, Any]:
    """Every number of the study; nothing in it is NaN.

    cohorts.<cohort>.models.<D|DC|DB|DCB>.<metric> and nets.<net>.<cohort>.<metric> are {value, low, high, n}.
    `peak_memory_mb` of the stages is null: who runs the processes measures it.
    """
    return {
        "plan": {"name": plan.name, "digest": plan.digest()},
        "cohorts": _cohorts(progress, plan),
        "nets": _nets(progress, plan),
        "statistics": _statistics(progress, plan),
        "digests": {net: digest(state) for net, state in progress.nets.items()},
        "participation": [asdict(record) for record in progress.participation],
        "curves": [asdict(point) for point in progress.curves],
        "stages": _stages(progress),
    }


def _evaluated(progress: Progress, plan: Plan) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """(cohort, net, metrics) of every evaluation, in the order of the plan, so that the last one stands."""
    for stage in plan.stages:
        if not isinstance(stage, Evaluate) or stage.name not in progress.totals:
            continue
        for cohort in stage.cohorts:
            for net in expanded(stage.nets):
                counts = counts_of(progress.totals[stage.name], cohort, net)
                if counts is not None:
                    wide = outputs_of(net) > 1
                    yield cohort, net, multi_class(counts, classes_of(net)) if wide else binary(counts)


def _cohorts(progress: Progress, plan: Plan) -> dict[str, Any]:
    cohorts: dict[str, Any] = defaultdict(lambda: {"models": {}})
    for cohort, net, found in _evaluated(progress, plan):
        if net in FUSION_NETS:
            cohorts[cohort]["models"][net.removeprefix("fusion/")] = found
    for cohort, entry in cohorts.items():
        entry["lesions"] = sum(progress.lesions(site, (cohort,)) for site in progress.counts)
    return dict(cohorts)


def _nets(progress: Progress, plan: Plan) -> dict[str, Any]:
    nets: dict[str, Any] = defaultdict(dict)
    for cohort, net, found in _evaluated(progress, plan):
        if net not in FUSION_NETS:
            nets[net][cohort] = found
    return dict(nets)


def _statistics(progress: Progress, plan: Plan) -> dict[str, Any]:
    """The recipe and what it rests on: r of every clinical variable with every type."""
    stage = next((s for s in plan.stages if isinstance(s, Statistics) and s.name in progress.totals), None)
    if stage is None or progress.recipe is None:
        return {}
    r = correlations(progress.totals[stage.name], stage.cohorts)
    return {
        "selected": list(progress.recipe.selected),
        "min_correlation": stage.min_correlation,
        "correlations": {
            name: dict(zip(LESION_TYPES, row.tolist(), strict=True))
            for name, row in zip(CLINICAL_NAMES, r, strict=True)
        },
        "class_weights": {net: list(weights) for net, weights in progress.recipe.class_weights.items()},
        "normaliser": asdict(progress.recipe.normaliser),
    }


def _stages(progress: Progress) -> dict[str, Any]:
    stages: dict[str, Any] = {}
    for record in progress.participation:
        entry = stages.setdefault(record.stage, {"seconds": 0.0, "rounds": 0, "peak_memory_mb": None})
        entry["seconds"] += record.seconds
        entry["rounds"] += 1
    return stages
