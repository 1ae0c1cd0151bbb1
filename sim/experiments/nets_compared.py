"""Comparison of nets of a finished run, from the sums of its evaluation."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ceus_models.runtime.errors import ExpectedError
from ceus_models.study.taxonomy import STRATEGY_A, STRATEGY_B
from server.results.evaluation import estimate_accuracy
from server.results.metrics import Floats
from server.results.pooled_cohorts import POOLS
from server.results.replicates import Resampling
from sim.experiments.arm_table import ALL_COHORTS, ArmScores, TableSettings, build_entry
from sim.experiments.entry import Entry
from sim.experiments.experiment_file import Models
from sim.experiments.paired import Estimate
from sim.runs.confusion_draws import ConfusionDraws, open_draws
from sim.runs.run import read_results

_LABELS = {STRATEGY_A: "A, one net of five classes", STRATEGY_B: "B, five binary nets"}


def compare_nets(experiment: Models, run: Path) -> Entry:
    """Compare the nets. Raises ExpectedError if the run has no checkpoint or did not evaluate a net."""
    results = read_results(run)
    draws = open_draws(run, results)
    compared = [_list_pairs(results, net, experiment) for net in experiment.nets]
    scored = [
        ArmScores(
            _label(net),
            {cohort: [draws.find_confusion(net, cohort)] for cohort in experiment.cohorts},
            p={place: float(pair["p"]) for place, pair, other in pairs if other == experiment.nets[0]},
            differences={(_label(other), place): _read_difference(pair, net) for place, pair, other in pairs},
            accuracies=_estimate_accuracies(draws, net, experiment.cohorts),
        )
        for net, pairs in zip(experiment.nets, compared, strict=True)
    ]
    _check_evaluated(scored, run)
    shown = TableSettings(experiment.title, experiment.metric, "", 1, experiment.claim)
    return replace(build_entry(scored, shown), details={"cohorts": list(experiment.cohorts)})


def _estimate_accuracies(draws: ConfusionDraws, net: str, cohorts: Sequence[str]) -> dict[str, Estimate]:
    """The accuracy of a net on each cohort, and on ALL of several, with Wilson's interval."""
    counts = {cohort: found for cohort in cohorts if (found := draws.find_confusion(net, cohort)) is not None}
    noise = max(draws.noises.values(), default=0.0)

    def estimate(confusion: Floats, noise_sd: float, place: str) -> Estimate:
        found = estimate_accuracy(confusion, Resampling(draws.seed, 0, noise_sd, draws.designs.get(place, 1.0)))
        return Estimate(*(found[end] for end in ("value", "low", "high")))

    estimates = {cohort: estimate(found[0], noise, cohort) for cohort, found in counts.items()}
    if len(counts) == len(cohorts) > 1:
        whole = np.sum([found[0] for found in counts.values()], axis=0)
        estimates[ALL_COHORTS] = estimate(whole, noise * math.sqrt(len(counts)), "all_tests")
    return estimates


def _label(net: str) -> str:
    return _LABELS.get(net, net.removeprefix("fusion/"))


def _list_pairs(results: Mapping[str, Any], net: str, experiment: Models) -> list[tuple[str, Mapping[str, Any], str]]:
    """(cohort or ALL, comparison, other net) of the comparisons of a net with the others, if the run counted them."""
    places = {cohort: cohort for cohort in experiment.cohorts}
    if set(experiment.cohorts) == set(POOLS["all_tests"]):
        places["all_tests"] = ALL_COHORTS
    return [
        (shown, pair, pair["second"] if pair["first"] == net else pair["first"])
        for place, shown in places.items()
        for pair in results.get("pairs", {}).get(place, [])
        if net in (pair["first"], pair["second"])
    ]


def _read_difference(pair: Mapping[str, Any], net: str) -> Estimate:
    """The difference of accuracies, of `net` minus the other."""
    found = pair["difference"]
    value, low, high = (found[end] for end in ("value", "low", "high"))
    if pair["first"] == net:
        return Estimate(value, low, high)
    return Estimate(-value, None if high is None else -high, None if low is None else -low)


def _check_evaluated(scored: Sequence[ArmScores], run: Path) -> None:
    bare = [arm.label for arm in scored if not any(seeds[0] is not None for seeds in arm.counts.values())]
    if bare:
        raise ExpectedError(f"expected an evaluation of {bare[0]} on these cohorts, {run} has none; add it to the plan")
