"""Results beyond each net's own metrics: pairs, subgroups, readers, misdiagnoses, Table 1, sites and use."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import product
from typing import Any

from ceus_models.plan.plan import Plan
from ceus_models.plan.progress import Progress
from ceus_models.plan.stages import Evaluate
from ceus_models.plan.terms.net_groups import expand_names
from ceus_models.study.taxonomy import COHORTS, FUSION_NETS, select_classifiers
from server.results.clinical.summary import summarize_use
from server.results.misdiagnoses import count_misdiagnoses
from server.results.pairs import compare_pairs
from server.results.pooled_cohorts import POOLS, pool_cohorts
from server.results.population.group_gaps import find_gaps
from server.results.population.heterogeneity import summarize_heterogeneity
from server.results.reader_results import summarize_readers
from server.results.replicates import Resampling
from server.results.subgroup_results import build_table_one, expect_by_types, summarize_sites, summarize_subgroups
from server.results.uncertainty.design_effect import count_clusters
from server.results.uncertainty.multiple_testing import adjust_tests

_PLACES = (*COHORTS, *POOLS)
_BY_NET = ("subgroups", "misdiagnoses", "sites", "use", "heterogeneity", "gaps")


def collect_details(progress: Progress, plan: Plan, seed: int) -> dict[str, Any]:
    """Collect results by cohort (or pool of test cohorts), then by net; the last evaluation of a cohort counts.

    `table1` also covers cohorts that were only tallied. `design`: the design effect of each cohort and pool.
    """
    found: dict[str, Any] = {"table1": _build_tables(progress, plan), "pairs": {}, "readers": {}}
    by_net: dict[str, Any] = {name: {} for name in _BY_NET}
    designs = {place: count_clusters(progress, POOLS.get(place, (place,))) for place in _PLACES}
    evaluations = [s for s in plan.stages if isinstance(s, Evaluate) and s.name in progress.totals]
    for stage, place in product(evaluations, _PLACES):
        total, classifiers = pool_cohorts(progress.totals[stage.name]), select_classifiers(expand_names(stage.nets))
        noise = stage.compute_noise_sd(progress.count_evaluating(stage.name)) * _widen_noise(stage, place)
        resampling = Resampling(seed, stage.replicates, noise, designs[place].effect)
        _keep(found["pairs"], place, compare_pairs(total, place, classifiers, resampling))
        _keep(found["readers"], place, summarize_readers(total, place, classifiers, resampling))
        for net in classifiers:
            groups = summarize_subgroups(total, place, net, resampling)
            sites = summarize_sites(total, place, net, resampling)
            _keep(by_net["subgroups"], (place, net), groups)
            expected = expect_by_types(total, place, net)
            _keep(by_net["gaps"], (place, net), groups and find_gaps(groups["variables"], resampling.design, expected))
            _keep(by_net["sites"], (place, net), sites)
            _keep(by_net["heterogeneity"], (place, net), summarize_heterogeneity(sites, resampling.design))
            if net in FUSION_NETS:
                _keep(by_net["misdiagnoses"], (place, net), count_misdiagnoses(total, place, net, resampling))
                _keep(by_net["use"], (place, net), summarize_use(total, place, net, resampling))
    _adjust_pairs(found["pairs"])
    found["design"] = {place: one.plain() for place, one in designs.items() if one.patients}
    return found | {key: _nest(entries) for key, entries in by_net.items()}


def _adjust_pairs(pairs: Mapping[str, list[dict[str, Any]]]) -> None:
    """Correct p for the number of tests, of the four models and of the strategies apart, over all cohorts and pools."""
    tests = [test for place in pairs.values() for test in place]
    for family in (True, False):
        adjust_tests([test for test in tests if (test["first"] in FUSION_NETS) == family])


def _widen_noise(stage: Evaluate, place: str) -> float:
    """How much larger the noise of a place is than a cohort's: that of a pool's cohorts adds up."""
    return math.sqrt(max(1, len(set(POOLS.get(place, (place,))) & set(stage.cohorts))))


def _build_tables(progress: Progress, plan: Plan) -> dict[str, Any]:
    """Table 1 of every cohort that was tallied or evaluated, a tally's biomarkers included."""
    found: dict[str, Any] = {}
    for stage in plan.stages:
        total = progress.totals.get(stage.name, {})
        for cohort in COHORTS:
            counted = build_table_one(total, cohort)
            _keep(found, cohort, counted and {**found.get(cohort, {}), **counted})
    return found


def _keep(found: dict[Any, Any], key: Any, entry: Any) -> None:
    """Store the entry unless it is empty."""
    if entry:
        found[key] = entry


def _nest(entries: dict[tuple[str, str], Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for (place, net), entry in entries.items():
        found.setdefault(place, {})[net] = entry
    return found
