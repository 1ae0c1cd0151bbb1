"""All results of a study as one plain dictionary: results.json."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import asdict
from itertools import product
from typing import Any

from ceus_models.nets.heads import locate_output
from ceus_models.plan.plan import Plan
from ceus_models.plan.progress import Progress
from ceus_models.plan.recipe import correlations
from ceus_models.plan.stages import Evaluate, Statistics
from ceus_models.plan.terms.net_groups import expand_names
from ceus_models.plan.train_stage import Train
from ceus_models.protocol.state import digest
from ceus_models.study.taxonomy import (
    CLINICAL_NAMES,
    COHORTS,
    FUSION_NETS,
    LESION_TYPES,
    count_outputs,
    select_classifiers,
)
from server.results.detailed_results import collect_details
from server.results.evaluation import class_names, compute_binary, compute_multi_class, read_counts
from server.results.population.cohort_tests import compare_cohorts
from server.results.population.flow import count_flow
from server.results.population.missing_data import count_missing
from server.results.privacy_spent import summarize_privacy
from server.results.replicates import Resampling
from server.results.uncertainty.design_effect import count_clusters

_Score = tuple[str, str, dict[str, Any]]


def collect_results(progress: Progress, plan: Plan, seed: int) -> dict[str, Any]:
    """Collect all numbers of the study, without NaN; `seed` is the study's, of bootstrap replicates.

    cohorts.<cohort>.models.<D|DC|DB|DCB>.<metric> and nets.<net>.<cohort>.<metric> are {value, low, high, n}.
    `peak_memory_mb` of the stages is null: the caller that runs the processes measures it.
    """
    scores = list(_list_evaluations(progress, plan, seed))
    cohorts, nets = _cohorts(progress, scores), _nets(scores)
    statistics, details = _statistics(progress, plan), collect_details(progress, plan, seed)
    return {
        "plan": plan.name,
        "plan_digest": plan.digest(),
        "terms": {key: value for key, value in plan.plain().items() if key != "simulation"},
        **details,
        "table1_tests": _test_table_one(progress, details["table1"], cohorts, statistics),
        "cohorts": cohorts,
        "nets": nets,
        "statistics": statistics,
        "flow": count_flow(progress, plan, _count_lesions(cohorts, nets, statistics)),
        "missing": count_missing(progress, plan),
        "digests": {net: digest(state) for net, state in progress.nets.items()},
        "participation": [asdict(record) for record in progress.participation],
        "curves": _build_curves(progress),
        "chosen_on": _list_choices(plan),
        "stages": _stages(progress),
        "privacy": summarize_privacy(plan),
    }


def _list_evaluations(progress: Progress, plan: Plan, seed: int) -> Iterator[_Score]:
    """Yield (cohort, net, metrics) of every evaluation in the order of the plan, so that the last one counts."""
    weights = progress.recipe.class_weights if progress.recipe else {}
    for stage in plan.stages:
        if not isinstance(stage, Evaluate) or stage.name not in progress.totals:
            continue
        nets = expand_names(stage.nets)
        for cohort, net in product(stage.cohorts, dict.fromkeys((*nets, *select_classifiers(nets)))):
            design = count_clusters(progress, (cohort,)).effect
            noise = stage.compute_noise_sd(progress.count_evaluating(stage.name))
            resampling = Resampling(seed, stage.replicates, noise, design)
            counts = read_counts(progress.totals[stage.name], (cohort, net), resampling, weights)
            if counts is not None:
                wide = count_outputs(net) > 1
                yield cohort, net, compute_multi_class(counts, class_names(net)) if wide else compute_binary(counts)


def _cohorts(progress: Progress, scores: list[_Score]) -> dict[str, Any]:
    cohorts: dict[str, Any] = defaultdict(lambda: {"models": {}})
    for cohort, net, found in scores:
        if net in FUSION_NETS:
            cohorts[cohort]["models"][net.removeprefix("fusion/")] = found
    for cohort, entry in cohorts.items():
        first = next(iter(entry["models"].values()))
        declared = sum(progress.count_lesions(site, (cohort,)) for site in progress.counts)
        entry |= {"n": first["n"], "support": first["support"], "declared": declared}
    return dict(cohorts)


def _nets(scores: list[_Score]) -> dict[str, Any]:
    nets: dict[str, Any] = defaultdict(dict)
    for cohort, net, found in scores:
        if net not in FUSION_NETS:
            nets[net][cohort] = found
    return dict(nets)


def _test_table_one(
    progress: Progress, table1: dict[str, Any], cohorts: dict[str, Any], statistics: dict[str, Any]
) -> dict[str, Any]:
    """Whether the cohorts differ, by variable; `fll_type` is the lesion type."""
    types = statistics.get("types", {}) | {name: one["support"] for name, one in cohorts.items()}
    tables = {name: {"fll_type": types[name]} if name in types else {} for name in COHORTS}
    filled = {name: {**one, **table1.get(name, {})} for name, one in tables.items()}
    clusters = count_clusters(progress, [name for name, one in filled.items() if one])
    return compare_cohorts(filled, clusters.lesions_of_patient)


def _count_lesions(cohorts: dict[str, Any], nets: dict[str, Any], statistics: dict[str, Any]) -> dict[str, int]:
    """Cohort → lesions that a fusion net, else any net, else the tally counted."""
    found = {name: sum(types.values()) for name, types in statistics.get("types", {}).items()}
    for entry in nets.values():
        found |= {name: max(one["n"], found.get(name, 0)) for name, one in entry.items()}
    return found | {name: one["n"] for name, one in cohorts.items()}


def _statistics(progress: Progress, plan: Plan) -> dict[str, Any]:
    """The recipe and its inputs: Pearson's r of every clinical variable with every type."""
    stage = next((s for s in plan.stages if isinstance(s, Statistics) and s.name in progress.totals), None)
    if stage is None or progress.recipe is None:
        return {}
    total = progress.totals[stage.name]
    r = correlations(total, stage.cohorts)
    return {
        "types": {
            cohort: dict(zip(LESION_TYPES, total[f"{cohort}|types"].tolist(), strict=True))
            for cohort in COHORTS
            if f"{cohort}|types" in total
        },
        "selected": list(progress.recipe.selected),
        "min_correlation": stage.min_correlation,
        "correlations": {
            name: dict(zip(LESION_TYPES, row.tolist(), strict=True))
            for name, row in zip(CLINICAL_NAMES, r, strict=True)
        },
        "class_weights": {net: list(weights) for net, weights in progress.recipe.class_weights.items()},
        "normaliser": asdict(progress.recipe.normaliser),
    }


def _build_curves(progress: Progress) -> dict[str, dict[str, Any]]:
    """By stage and net: mean loss by round (from 1), and the round whose parameters were kept."""
    curves: dict[str, dict[str, Any]] = {}
    for point in progress.curves:
        curve = curves.setdefault(point.stage, {}).setdefault(point.net, {"rounds": [], "training_loss": []})
        if point.curve == "training":
            curve["rounds"].append(point.round)
            curve["training_loss"].append(point.loss)
        else:
            curve.setdefault("validation_rounds", []).append(point.round)
            curve.setdefault("validation_loss", []).append(point.loss)
    sharing = progress.recipe.sharing if progress.recipe else "separate"
    for nets in curves.values():
        for output, curve in nets.items():
            chosen = nets.get(locate_output(output, sharing).net, {})  # of a head, the round of its trunk
            losses = chosen.get("validation_loss", [])
            if losses:
                last_best = max(i for i, loss in enumerate(losses) if loss == min(losses))
                curve["best_round"] = chosen["validation_rounds"][last_best]
    return curves


def _list_choices(plan: Plan) -> dict[str, list[str]]:
    """Cohort → outputs whose kept round was chosen by their loss on it: there, their metrics are optimistic."""
    found: dict[str, list[str]] = defaultdict(list)
    for stage in plan.stages:
        if isinstance(stage, Train) and stage.validate:
            for cohort in stage.validate.cohorts:
                found[cohort] += [net for net in expand_names(stage.nets) if net not in found[cohort]]
    return dict(found)


def _stages(progress: Progress) -> dict[str, Any]:
    stages: dict[str, Any] = {}
    for record in progress.participation:
        entry = stages.setdefault(record.stage, {"seconds": 0.0, "rounds": 0, "peak_memory_mb": None})
        entry["seconds"] += record.seconds
        entry["rounds"] += 1
    return stages
