"""Results beyond each net's own metrics: pairs, subgroups, readers, misdiagnoses, Table 1 and sites."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ceus_models.plan.net_groups import expand_names
from ceus_models.plan.plan import Plan
from ceus_models.plan.progress import Progress
from ceus_models.plan.stages import Evaluate
from ceus_models.protocol.state import State
from ceus_models.study.taxonomy import COHORTS, FUSION_NETS, select_classifiers
from server.results.misdiagnoses import count_misdiagnoses
from server.results.pairs import compare_pairs
from server.results.pooled_cohorts import POOLS, pool_cohorts
from server.results.reader_results import summarize_readers
from server.results.subgroup_results import build_table_one, summarize_sites, summarize_subgroups

_PLACES = (*COHORTS, *POOLS)


def collect_details(progress: Progress, plan: Plan) -> dict[str, Any]:
    """Collect results by cohort (or pool of test cohorts), then by net; the last evaluation of a cohort counts.

    `table1` also covers cohorts that were only tallied.
    """
    found: dict[str, Any] = {"table1": _collect_tallies(progress, plan), "pairs": {}, "readers": {}}
    by_net: dict[str, Any] = {"subgroups": {}, "misdiagnoses": {}, "sites": {}}
    for total, classifiers in _evaluations(progress, plan):
        for place in _PLACES:
            counted = build_table_one(total, place, classifiers) if place in COHORTS else None
            _keep(found["table1"], place, counted and {**found["table1"].get(place, {}), **counted})
            _keep(found["pairs"], place, compare_pairs(total, place, classifiers))
            _keep(found["readers"], place, summarize_readers(total, place, classifiers))
            for net in classifiers:
                _keep(by_net["subgroups"], (place, net), summarize_subgroups(total, place, net))
                _keep(by_net["sites"], (place, net), summarize_sites(total, place, net))
                fused = net in FUSION_NETS
                _keep(by_net["misdiagnoses"], (place, net), count_misdiagnoses(total, place, net) if fused else None)
    return found | {key: _nest(entries) for key, entries in by_net.items()}


def _evaluations(progress: Progress, plan: Plan) -> Iterator[tuple[State, tuple[str, ...]]]:
    for stage in plan.stages:
        if isinstance(stage, Evaluate) and stage.name in progress.totals:
            yield pool_cohorts(progress.totals[stage.name]), select_classifiers(expand_names(stage.nets))


def _collect_tallies(progress: Progress, plan: Plan) -> dict[str, Any]:
    totals = [progress.totals[stage.name] for stage in plan.stages if stage.name in progress.totals]
    found: dict[str, Any] = {}
    for total in totals:
        for cohort in COHORTS:
            if f"{cohort}|groups" in total:
                _keep(found, cohort, build_table_one(total, cohort, ()))
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
