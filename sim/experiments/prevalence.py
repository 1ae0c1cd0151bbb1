"""Accuracy at other prevalences: cohorts drawn at given ratios of malignant to benign lesions.

The type "other" holds both (lymphoma, sarcoma and neuroendocrine tumors; FNH, adenoma and lipoma) and a table does not
say which, so it is neither: it is not drawn, and as an answer it is wrong.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from ceus_models.runtime.seeds import derive_seed
from ceus_models.study.taxonomy import LESION_TYPES, MALIGNANT_TYPES
from server.results.intervals import INTERVAL
from server.results.metrics import Ints
from sim.experiments.entry import Cell, Entry, describe_stable_claim
from sim.experiments.experiment_file import Prevalence, Scenario
from sim.experiments.lesions import FinishedRun, list_targets, load_groups, majority_accuracy, predict_groups

_BENIGN_TYPES = ("HH", "HA")
_MALIGNANT = np.array([name in MALIGNANT_TYPES for name in LESION_TYPES])
_BENIGN = np.array([name in _BENIGN_TYPES for name in LESION_TYPES])


def run_prevalence(experiment: Prevalence, run: FinishedRun) -> Entry:
    """Predict all lesions once, and score cohorts drawn from them."""
    groups = load_groups(run.folder, run.bundle.processing, experiment.cohorts)
    target = list_targets(groups, "fusion/DCB")
    predicted = {name: predict_groups(run.bundle, groups, f"fusion/{name}").argmax(1) for name in experiment.models}
    rows: list[list[Cell]] = []
    points: list[dict[str, Any]] = []
    spread: dict[str, dict[str, npt.NDArray[np.float64]]] = {name: {} for name in experiment.models}
    for scenario in experiment.scenarios:
        cohorts = [
            draw_cohort(target, scenario, experiment.size, seed)
            for seed in _derive_seeds(experiment, scenario, run.seed)
        ]
        for name in experiment.models:
            found = np.array([_compute_scores(target[chosen], predicted[name][chosen]) for chosen in cohorts])
            spread[name][scenario.label] = found[:, 0]
            accuracy, *others = [_compute_spread(found[:, i]) for i in range(found.shape[1])]
            rows.append([scenario.label, name, *accuracy, *(mean for mean, _, _ in others)])
            ends = dict(zip(("value", "low", "high"), accuracy, strict=True))
            points.append({"group": scenario.label, "label": name, **ends, "samples": found[:, 0].round(4).tolist()})
    whole = {name: float((found == target)[target >= 0].mean()) for name, found in predicted.items()}
    shown, held = experiment.models[-1], _count_lesions(target)
    return Entry(
        title=experiment.title,
        columns=["scenario", "model", _METRICS[0], "low", "high", *_METRICS[1:]],
        rows=rows,
        figure={
            "kind": "intervals",
            "xlabel": f"accuracy in {experiment.repeats} cohorts of {experiment.size}: mean, middle 95 %, each cohort",
            "points": points,
            "line": {
                "value": round(whole[shown], 4),
                "label": f"{shown} on all {int((target >= 0).sum())} test lesions",
            },
        },
        finding=_describe_finding(spread[shown], (shown, whole[shown], majority_accuracy(target)), experiment),
        details={"lesions": held, "whole": whole, "draws": "with replacement, each repeat anew"},
    )


_METRICS = ("accuracy", "malignant or benign", "malignant recalled", "benign recalled")


def draw_cohort(target: Ints, scenario: Scenario, size: int, seed: int) -> npt.NDArray[np.int64]:
    """Draw `size` lesions with replacement, malignant and benign in the scenario's ratio."""
    share = scenario.malignant / (scenario.malignant + scenario.benign)
    generator = np.random.default_rng(seed)
    known = np.flatnonzero(target >= 0)
    malignant = known[_MALIGNANT[target[known]]]
    benign = known[_BENIGN[target[known]]]
    count = round(share * size)
    return np.concatenate([generator.choice(malignant, count), generator.choice(benign, size - count)])


def _derive_seeds(experiment: Prevalence, scenario: Scenario, seed: int) -> list[int]:
    return [derive_seed(seed, "prevalence", scenario.label, repeat) for repeat in range(experiment.repeats)]


def _compute_scores(target: Ints, predicted: Ints) -> list[float]:
    """The metrics of one cohort in the order of _METRICS, NaN without such a lesion."""
    truth = _MALIGNANT[target]
    right = np.where(truth, _MALIGNANT[predicted], _BENIGN[predicted])
    return [float((target == predicted).mean()), float(right.mean()), _mean(right[truth]), _mean(right[~truth])]


def _mean(values: npt.NDArray[np.bool_]) -> float:
    return float(values.mean()) if len(values) else float("nan")


def _compute_spread(values: npt.NDArray[np.float64]) -> list[float | None]:
    """Mean and middle 95 % of the repeats."""
    known = values[~np.isnan(values)]
    if not len(known):
        return [None, None, None]
    return [round(float(x), 4) for x in (known.mean(), *np.percentile(known, INTERVAL))]


def _count_lesions(target: Ints) -> dict[str, int]:
    known = target[target >= 0]
    return {"malignant": int(_MALIGNANT[known].sum()), "benign": int(_BENIGN[known].sum())}


def _describe_finding(
    spread: Mapping[str, npt.NDArray[np.float64]], model: tuple[str, float, float], experiment: Prevalence
) -> str:
    """The finding as text: the range of mean accuracies, and whether the scenarios' middle 95 % overlap.

    Args:
        spread: scenario → accuracies.
        model: its name, its accuracy on all lesions, and that of the majority type.
        experiment: with the claim.
    """
    shown, whole, guess = model
    means = {label: float(found.mean()) for label, found in spread.items()}
    ends = {label: np.percentile(found, INTERVAL) for label, found in spread.items()}
    lowest, highest = min(means, key=lambda label: means[label]), max(means, key=lambda label: means[label])
    overlap = bool(max(low for low, _ in ends.values()) <= min(high for _, high in ends.values()))
    span = f"from {means[lowest]:.3f} ({lowest}) to {means[highest]:.3f} ({highest})"
    apart = "overlap in all scenarios" if overlap else "do not overlap in all scenarios"
    text = f"{shown}: mean accuracy {span}; the middle 95 % of the cohorts {apart}."
    return f"{text} {describe_stable_claim(experiment.claim, overlap, whole > guess)}".strip()
