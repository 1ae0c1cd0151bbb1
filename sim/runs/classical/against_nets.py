"""Classical baselines on the lesions of all hospitals, which only a simulation can pool, beside the nets of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from ceus_models.plan.plan import Plan
from ceus_models.protocol.state import add_prefix
from ceus_models.study.sample import Sample
from ceus_models.study.taxonomy import FUSION_NETS, LESION_TYPES, STRATEGY_A, STRATEGY_B, TEST_COHORTS
from client.data.dataset.samples import load_samples
from client.data.forms.site_config import load_site
from client.worker.tasks.counts.score_counts import count_scores
from client.worker.tasks.inference import by_cohort
from server.results.evaluation import Counts, compute_multi_class
from server.results.intervals import estimate_share
from server.results.pooled_cohorts import pool_cohorts
from server.results.replicates import Resampling
from server.results.uncertainty.proportions import subtract_independent
from sim.hospital.shared_hospitals import list_site_folders
from sim.runs.classical.classifiers import CLASSICAL, Classical

REPLICATES = 1000
_ALL = "all_tests"
_PLACES = ("validation", *TEST_COHORTS, _ALL)
_KEPT = ("accuracy", "macro_auc", "macro_recall", "macro_f1")
CHECKED: Mapping[str, str] = {"validation": STRATEGY_B, _ALL: "fusion/D"}
"""Where the zones are held against a net, and which: both then know images of the same lesions, and nothing else."""
Scores = dict[str, dict[str, Any]]
"""Cohort or pool → metric → estimate."""


def compare_classical(run: Path, plan: Plan, results: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """Train the classical baselines on the lesions of a finished run's hospitals, and hold them against its nets.

    Returns:
        classical: name → {learns_from: cohort → lesions, and by cohort or pool the metrics}.
        nets: net → by cohort or pool its accuracy.
        zones_over_nets: cohort or pool → {net, difference, beats}.
    """
    lesions = load_lesions(run, plan)
    designs = {place: float(one["effect"]) for place, one in results.get("design", {}).items()}
    classical = {
        name: score_classifier(one, lesions, designs, seed)
        for name, one in CLASSICAL.items()
        if all(lesions.get(cohort) for cohorts in one.learns_from.values() for cohort in cohorts)
    }
    nets = read_accuracies(results, designs)
    zones = classical.get("zones", {})
    return {"classical": classical, "nets": nets, "zones_over_nets": judge_zones(zones, nets, designs)}


def load_lesions(run: Path, plan: Plan) -> dict[str, list[Sample]]:
    """Cohort → its labelled lesions at all hospitals of a run, site after site."""
    found: dict[str, list[Sample]] = {}
    for folder in list_site_folders(run):
        for cohort, samples in by_cohort(load_samples(load_site(folder), plan.processing)).items():
            found.setdefault(cohort, []).extend(one for one in samples if one.label in LESION_TYPES)
    return found


def score_classifier(
    classifier: Classical, lesions: Mapping[str, Sequence[Sample]], designs: Mapping[str, float], seed: int
) -> Scores:
    """Metrics with intervals on every cohort that has lesions, and on the pool of all tests."""
    total: dict[str, Tensor] = {}
    learned: dict[str, int] = {}
    for cohorts, taught in classifier.learns_from.items():
        rows = [one for cohort in taught for one in lesions[cohort]]
        asked = {cohort: lesions[cohort] for cohort in cohorts if lesions.get(cohort)}
        learned |= dict.fromkeys((*asked, _ALL), len(rows))
        for cohort, answers in classifier.answer(rows, asked, seed).items():
            target = np.array([LESION_TYPES.index(str(one.label)) for one in asked[cohort]], dtype=np.int64)
            total |= add_prefix(count_scores(answers, target), f"{cohort}|")
    pooled = pool_cohorts(total)
    return {
        place: {
            "learned": learned[place],
            **_compute(pooled, place, Resampling(seed, REPLICATES, 0.0, designs.get(place, 1.0))),
        }
        for place in _PLACES
        if f"{place}|scores" in pooled
    }


def _compute(total: Mapping[str, Tensor], place: str, sampling: Resampling) -> dict[str, Any]:
    confusion, scores = (sampling.read(total, f"{place}|{name}") for name in ("confusion", "scores"))
    found = compute_multi_class(Counts(confusion, scores, None, sampling), LESION_TYPES)
    return {name: found[name] for name in (*_KEPT, "n", "confusion")}


def read_accuracies(results: Mapping[str, Any], designs: Mapping[str, float]) -> dict[str, dict[str, Any]]:
    """Net → cohort or pool → accuracy of the run's nets that tell types apart, as far as they were evaluated."""
    found: dict[str, dict[str, Any]] = {}
    for net in (STRATEGY_A, STRATEGY_B):
        scores = results.get("nets", {}).get(net, {})
        found[net] = {place: scores[place]["accuracy"] for place in _PLACES if place in scores}
    for net in FUSION_NETS:
        models = {place: one["models"] for place, one in results.get("cohorts", {}).items()}
        name = net.removeprefix("fusion/")
        found[net] = {place: models[place][name]["accuracy"] for place in _PLACES if name in models.get(place, {})}
    return {net: _add_pool(scores, designs) for net, scores in found.items() if scores}


def _add_pool(scores: dict[str, Any], designs: Mapping[str, float]) -> dict[str, Any]:
    """The scores with that of all tests, where each test cohort that counts has its number of lesions."""
    tests = [scores[cohort] for cohort in TEST_COHORTS if cohort in scores and scores[cohort]["n"]]
    if len(tests) < 2:
        return scores
    right, n = sum(one["value"] * one["n"] for one in tests), sum(one["n"] for one in tests)
    return scores | {_ALL: estimate_share(right, n, Resampling(design=designs.get(_ALL, 1.0)))}


def judge_zones(zones: Scores, nets: Mapping[str, Scores], designs: Mapping[str, float]) -> dict[str, Any]:
    """Whether the zones beat the nets by more than the 95 % interval of the difference.

    Both are taken as tested on different lesions, because the run's sums do not pair them.
    """
    found = {}
    for place, net in CHECKED.items():
        own, other = zones.get(place, {}).get("accuracy"), nets.get(net, {}).get(place)
        if not own or not other or not own["n"] or not other["n"]:
            continue
        effect = designs.get(place, 1.0)
        sides = [(one["value"] * one["n"] / effect, one["n"] / effect) for one in (own, other)]
        low, high = subtract_independent(sides[0], sides[1])
        difference = {"value": own["value"] - other["value"], "low": low, "high": high, "n": own["n"]}
        found[place] = {"net": net, "difference": difference, "beats": low > 0}
    return found
