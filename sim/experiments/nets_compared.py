"""Comparison of nets of a finished run, from the sums of its evaluation."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ceus_models.bundle.model_bundle import load_bundle
from ceus_models.plan.plan import parse_plan
from ceus_models.plan.stages import Evaluate
from ceus_models.protocol.state import State
from ceus_models.runtime.errors import ExpectedError
from ceus_models.study.taxonomy import STRATEGY_A, STRATEGY_B
from server.report.publish import BUNDLE
from server.results.evaluation import estimate_accuracy
from server.results.metrics import Floats
from server.results.pooled_cohorts import POOLS
from server.results.replicates import Resampling
from server.rounds.saving.checkpoints import Store
from sim.experiments.arm_table import ALL_COHORTS, ArmScores, TableSettings, build_entry
from sim.experiments.entry import Entry
from sim.experiments.experiment_file import Models
from sim.experiments.paired import Estimate
from sim.runs.run import read_results

_LABELS = {STRATEGY_A: "A, one net of five classes", STRATEGY_B: "B, five binary nets"}


def compare_nets(experiment: Models, run: Path) -> Entry:
    """Compare the nets. Raises ExpectedError if the run has no checkpoint or did not evaluate a net."""
    results = read_results(run)
    progress = Store(run).latest(str(results["plan_digest"]), int(results["seed"]))
    if progress is None:
        raise ExpectedError(f"expected a checkpoint in {run}, found none; copy the whole run, or finish it there")
    designs = {place: float(one["effect"]) for place, one in results.get("design", {}).items()}
    evaluations = _read_evaluations(run)
    noises = {s.name: s.compute_noise_sd(progress.count_evaluating(s.name)) for s in evaluations}
    draws = _Draws(progress.totals, evaluations, noises, int(results["seed"]), designs)
    compared = [_list_pairs(results, net, experiment) for net in experiment.nets]
    scored = [
        ArmScores(
            _label(net),
            {cohort: [draws.find_confusion(net, cohort)] for cohort in experiment.cohorts},
            p={place: float(pair["p"]) for place, pair, other in pairs if other == experiment.nets[0]},
            differences={(_label(other), place): _read_difference(pair, net) for place, pair, other in pairs},
            accuracies=draws.estimate_accuracies(net, experiment.cohorts),
        )
        for net, pairs in zip(experiment.nets, compared, strict=True)
    ]
    _check_evaluated(scored, run)
    shown = TableSettings(experiment.title, experiment.metric, "", 1, experiment.claim)
    return replace(build_entry(scored, shown), details={"cohorts": list(experiment.cohorts)})


@dataclass(frozen=True)
class _Draws:
    """The bootstrap replicates of a finished run, as its results have them.

    Args:
        noises: standard deviation of a cell's noise by stage.
        designs: effects by cohort or pool.
    """

    totals: Mapping[str, State]
    evaluations: Sequence[Evaluate]
    noises: Mapping[str, float]
    seed: int
    designs: Mapping[str, float]

    def estimate_accuracies(self, net: str, cohorts: Sequence[str]) -> dict[str, Estimate]:
        """The accuracy of a net on each cohort, and on ALL of several, with Wilson's interval."""
        counts = {cohort: found for cohort in cohorts if (found := self.find_confusion(net, cohort)) is not None}
        noise = max(self.noises.values(), default=0.0)
        estimates = {cohort: self._estimate(found[0], noise, cohort) for cohort, found in counts.items()}
        if len(counts) == len(cohorts) > 1:
            whole = np.sum([found[0] for found in counts.values()], axis=0)
            estimates[ALL_COHORTS] = self._estimate(whole, noise * math.sqrt(len(counts)), "all_tests")
        return estimates

    def _estimate(self, confusion: Floats, noise_sd: float, place: str) -> Estimate:
        sampling = Resampling(self.seed, 0, noise_sd, self.designs.get(place, 1.0))
        found = estimate_accuracy(confusion, sampling)
        return Estimate(*(found[end] for end in ("value", "low", "high")))

    def find_confusion(self, net: str, cohort: str) -> Floats | None:
        """The confusion matrix (1+R k k) of a net, from the last evaluation on the cohort; None without a lesion."""
        name = f"{cohort}|{net}|confusion"
        for stage in reversed(self.evaluations):
            total = self.totals.get(stage.name, {})
            if name in total:
                design = self.designs.get(cohort, 1.0)
                return Resampling(self.seed, stage.replicates, self.noises[stage.name], design).read(total, name)
        return None


def _read_evaluations(run: Path) -> list[Evaluate]:
    plan, _ = parse_plan(load_bundle(run / BUNDLE).study["plan"])
    if plan is None:
        raise ExpectedError(f"expected a plan of this version in {run / BUNDLE}, found another; finish the run again")
    return [stage for stage in plan.stages if isinstance(stage, Evaluate)]


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
