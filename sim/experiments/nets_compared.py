"""Comparison of nets of a finished run, from the sums of its evaluation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ceus_models.runtime.errors import ExpectedError
from ceus_models.study.taxonomy import STRATEGY_A, STRATEGY_B
from server.results.pooled_cohorts import POOLS
from server.rounds.checkpoints import Store
from sim.experiments.arm_table import ALL_COHORTS, ArmScores, TableSettings, build_entry
from sim.experiments.entry import Entry
from sim.experiments.experiment_file import Models
from sim.experiments.paired import find_confusion
from sim.runs.run import read_results

_LABELS = {STRATEGY_A: "A, one net of five classes", STRATEGY_B: "B, five binary nets"}


def compare_nets(experiment: Models, run: Path) -> Entry:
    """Compare the nets. Raises ExpectedError if the run has no checkpoint or did not evaluate a net."""
    results = read_results(run)
    progress = Store(run).latest(str(results["plan_digest"]), int(results["seed"]))
    if progress is None:
        raise ExpectedError(f"expected a checkpoint in {run}, found none; copy the whole run, or finish it there")
    scored = [
        ArmScores(
            _LABELS.get(net, net.removeprefix("fusion/")),
            {cohort: [find_confusion(progress.totals, net, cohort)] for cohort in experiment.cohorts},
            p=_read_p_values(results, net, experiment),
        )
        for net in experiment.nets
    ]
    _check_evaluated(scored, run)
    shown = TableSettings(experiment.title, experiment.metric, "", 1, experiment.claim)
    return replace(build_entry(scored, shown), details={"cohorts": list(experiment.cohorts)})


def _read_p_values(results: Mapping[str, Any], net: str, experiment: Models) -> dict[str, float]:
    """p values of McNemar's test against the first net, by cohort and over all, if the run counted the pairs."""
    wanted = {net, experiment.nets[0]}
    places = {cohort: cohort for cohort in experiment.cohorts}
    if set(experiment.cohorts) == set(POOLS["all_tests"]):
        places["all_tests"] = ALL_COHORTS
    return {
        shown: float(pair["p"])
        for place, shown in places.items()
        for pair in results.get("pairs", {}).get(place, [])
        if {pair["first"], pair["second"]} == wanted
    }


def _check_evaluated(scored: Sequence[ArmScores], run: Path) -> None:
    bare = [arm.label for arm in scored if not any(seeds[0] is not None for seeds in arm.counts.values())]
    if bare:
        raise ExpectedError(f"expected an evaluation of {bare[0]} on these cohorts, {run} has none; add it to the plan")
