"""Results beyond each net's own metrics: pairs, subgroups, readers, misdiagnoses, Table 1 and sites."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ceus_models.protocol.state import State
from ceus_models.study.taxonomy import COHORTS, FUSION_NETS, classifiers_of
from server.results.misdiagnoses import misdiagnoses_of
from server.results.pairs import pairs_of
from server.results.pooled_cohorts import POOLS, pooled
from server.results.reader_results import readers_of
from server.results.subgroup_results import sites_of, subgroups_of, table_one
from server.study.net_groups import expanded
from server.study.plan import Plan
from server.study.progress import Progress
from server.study.stages import Evaluate

_PLACES = (*COHORTS, *POOLS)


def detailed(progress: Progress, plan: Plan) -> dict[str, Any]:
    """Collect results by cohort (or pool of test cohorts), then by net; the last evaluation of a cohort counts.

    `table1` also covers cohorts that were only tallied.
    """
    found: dict[str, Any] = {"table1": _tallied(progress, plan), "pairs": {}, "readers": {}}
    by_net: dict[str, Any] = {"subgroups": {}, "misdiagnoses": {}, "sites": {}}
    for total, classifiers in _evaluations(progress, plan):
        for place in _PLACES:
            counted = table_one(total, place, classifiers) if place in COHORTS else None
            _keep(found["table1"], place, counted and {**found["table1"].get(place, {}), **counted})
            _keep(found["pairs"], place, pairs_of(total, place, classifiers))
            _keep(found["readers"], place, readers_of(total, place, classifiers))
            for net in classifiers:
                _keep(by_net["subgroups"], (place, net), subgroups_of(total, place, net))
                _keep(by_net["sites"], (place, net), sites_of(total, place, net))
                fused = net in FUSION_NETS
                _keep(by_net["misdiagnoses"], (place, net), misdiagnoses_of(total, place, net) if fused else None)
    return found | {key: _nested(entries) for key, entries in by_net.items()}


def _evaluations(progress: Progress, plan: Plan) -> Iterator[tuple[State, tuple[str, ...]]]:
    for stage in plan.stages:
        if isinstance(stage, Evaluate) and stage.name in progress.totals:
            yield pooled(progress.totals[stage.name]), classifiers_of(expanded(stage.nets))


def _tallied(progress: Progress, plan: Plan) -> dict[str, Any]:
    totals = [progress.totals[stage.name] for stage in plan.stages if stage.name in progress.totals]
    found: dict[str, Any] = {}
    for total in totals:
        for cohort in COHORTS:
            if f"{cohort}|groups" in total:
                _keep(found, cohort, table_one(total, cohort, ()))
    return found


def _keep(found: dict[Any, Any], key: Any, entry: Any) -> None:
    """Store the entry unless it is empty."""
    if entry:
        found[key] = entry


def _nested(entries: dict[tuple[str, str], Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for (place, net), entry in entries.items():
        found.setdefault(place, {})[net] = entry
    return found
