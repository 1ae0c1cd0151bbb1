"""What patient-level privacy costs on the demo: heads over frozen backbones and one linear fusion net, at several ε.

First the fusion nets alone, over a finished demo's sub-models; then everything, heads over untrained backbones too.
Rates were chosen on the validation cohort, which is not charged.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor

from benchmarks.measuring import publish, quiet
from benchmarks.private_heads import (
    Bench,
    Floats,
    Heads,
    Noise,
    Settings,
    Submodels,
    labelled,
    load_bench,
    scores_of,
    submodel_probabilities,
    train_fusion,
    train_heads,
)
from ceus_models.bundle.model_bundle import Bundle, load_bundle
from ceus_models.nets.module_cache import load_net
from ceus_models.nets.predict import predict_scores
from ceus_models.protocol.privacy.accountant import noise_for
from ceus_models.study.taxonomy import DISEASE_NETS, SUBMODELS, TEST_COHORTS
from sim.patients.study_table import LESIONS

DELTA = 1e-5
SITES = {"training_a": 36, "training_b": 13}
DEMO_LESIONS = {"training_a": 310, "training_b": 140}
RATES = (0.3, 1.0, 3.0)
DRAWS = 1000
VARIANTS = ("fusion/D", "fusion/DC", "fusion/DCB")
T = TypeVar("T")


@dataclass(frozen=True)
class Arm:
    """A level of privacy. epsilon: of a patient of each training cohort · local: each site adds the whole noise ·
    paper: the noise weighs as it would among the paper's patients.
    """

    epsilon: float
    local: bool = False
    paper: bool = False

    def multiplier(self, cohort: str, rounds: int, nets: int) -> float:
        """Noise of the sum, in bounds."""
        if math.isinf(self.epsilon):
            return 0.0
        shares = math.sqrt(SITES[cohort]) if self.local else 1.0
        return (
            noise_for(self.epsilon, DELTA, rounds, nets)
            * shares
            * (DEMO_LESIONS[cohort] / LESIONS[cohort] if self.paper else 1.0)
        )

    def __str__(self) -> str:
        return f"{self.epsilon:g}" + (" local" if self.local else "") + (" at the paper's size" if self.paper else "")


ARMS = (Arm(math.inf), Arm(10), Arm(3), Arm(1), Arm(3, local=True), Arm(3, paper=True), Arm(1, paper=True))


def measure_heads(bench: Bench, heads: Heads, cohorts: Sequence[str]) -> dict[str, float]:
    """AUC of every sub-model whose classes occur."""
    found = {}
    for place, net in enumerate(SUBMODELS):
        right, scores = [], []
        for cohort in cohorts:
            places, targets, _ = labelled(net, bench.samples[cohort])
            right += targets
            scores += submodel_probabilities(bench, heads, cohort)[places, place].tolist()
        if len(set(right)) > 1:
            found[net] = float(roc_auc_score(right, scores))
    return found


def choose(rates: Sequence[float], quality: Callable[[float], tuple[float, T]]) -> T:
    """What was made with the rate of the best quality."""
    return max((quality(rate) for rate in rates), key=lambda made: made[0])[1]


def macro_auc(p: Floats, right: Sequence[int]) -> float:
    """One type against the others, averaged over types that occur."""
    return float(np.mean([roc_auc_score(np.array(right) == k, p[:, k]) for k in sorted(set(right))]))


@dataclass
class Row:
    """What came out of one arm, over seeds. right: (seeds lesions) · auc: (seeds)."""

    right: list[npt.NDArray[np.bool_]] = field(default_factory=list)
    auc: list[float] = field(default_factory=list)
    patients: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        """Accuracy with the interval of 1,000 draws of patients, the seeds' spread, and the macro-AUC."""
        mean = np.mean(self.right, axis=0)
        names, place = np.unique(self.patients, return_inverse=True)
        weights = np.random.default_rng(0).poisson(1.0, (DRAWS, len(names)))[:, place]
        low, high = np.percentile((weights * mean).sum(1) / weights.sum(1), [2.5, 97.5])
        seeds = [float(one.mean()) for one in self.right]
        spread = f"seeds {min(seeds):.3f} to {max(seeds):.3f}"
        return f"{mean.mean():.3f} [{low:.3f}, {high:.3f}], {spread}; AUC {np.mean(self.auc):.3f}"


def measure_fusion(bench: Bench, submodels: Submodels, arm: Arm, rows: Mapping[str, Row]) -> None:
    """Train each variant with the whole budget of its patients, and add what it says of the test cohorts."""
    for net, row in rows.items():
        noise = Noise(arm.multiplier("training_b", Settings(1.0).rounds, 1), f"{arm}|{net}|{bench.seed}")

        def quality(rate: float, net: str = net, noise: Noise = noise) -> tuple[float, Mapping[str, Tensor]]:
            fused = train_fusion(bench, net, submodels, Settings(rate), noise)
            p, right, _ = scores_of(bench, net, submodels, fused, ("validation",))
            return macro_auc(p, right), fused

        fused = choose(RATES, quality)
        p, right, row.patients = scores_of(bench, net, submodels, fused, TEST_COHORTS)
        row.right.append(p.argmax(axis=1) == np.array(right))
        row.auc.append(macro_auc(p, right))


def measure_all(benches: Sequence[Bench], arm: Arm) -> list[object]:
    """Heads over frozen backbones and the linear fusion nets over them, all private."""
    rows, aucs = {net: Row() for net in VARIANTS}, []
    for bench in benches:
        z = arm.multiplier("training_a", Settings(1.0).rounds, len(SUBMODELS))

        def quality(rate: float, bench: Bench = bench, z: float = z) -> tuple[float, Heads]:
            names = {net: Noise(z, f"{arm}|{net}|{bench.seed}") for net in SUBMODELS}
            heads = {net: train_heads(bench, net, Settings(rate), names[net]) for net in SUBMODELS}
            return float(np.mean(list(measure_heads(bench, heads, ("validation",)).values()))), heads

        heads = choose(RATES, quality)
        tested = measure_heads(bench, heads, TEST_COHORTS)
        aucs.append((tested["disease/HCC"], float(np.mean([tested[net] for net in DISEASE_NETS]))))
        measure_fusion(bench, partial(submodel_probabilities, bench, heads), arm, rows)
    hcc, disease = np.mean(aucs, axis=0)
    return [str(arm), f"{hcc:.3f}", f"{disease:.3f}", *rows.values()]


def measure_bundle(benches: Sequence[Bench], bundle: Bundle, arm: Arm) -> list[object]:
    """The linear fusion nets alone, over the sub-models of a bundle."""
    rows = {net: Row() for net in VARIANTS}
    for bench in benches:
        measure_fusion(bench, partial(ask_bundle, bench, bundle), arm, rows)
    return [str(arm), "", "", *rows.values()]


@cache
def ask_bundle(bench: Bench, bundle: Bundle, cohort: str) -> npt.NDArray[np.float32]:
    """Probabilities (n 9) of a cohort's lesions by a bundle's sub-models."""
    columns = []
    for net in SUBMODELS:
        kept = load_net(net, bundle.recipe, bundle.nets[net], None, torch.device("cpu"))
        columns.append(predict_scores(kept.module, bench.samples[cohort], bundle.recipe))
    return np.concatenate(columns, axis=1).astype(np.float32)


def main() -> None:
    """Print the tables of all arms."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, default=Path("runs/demo"), help="a finished demo: its hospitals and bundle")
    parser.add_argument("--memory", type=Path, default=Path("runs/private_utility"), help="where summaries are kept")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, help="write the figures to this JSON file")
    asked = parser.parse_args()
    quiet()
    benches = [load_bench(asked.run / "hospitals", asked.memory, seed) for seed in range(1, asked.seeds + 1)]
    bundle = load_bundle(asked.run / "bundle")
    head = ("ε", "AUC HCC", "AUC of five disease nets", *VARIANTS)
    rows = [
        ["over the demo's sub-models: " + str(r[0]), *r[1:]] for r in (measure_bundle(benches, bundle, a) for a in ARMS)
    ]
    publish("Heads and linear fusion", head, rows + [measure_all(benches, arm) for arm in ARMS], asked.out)


if __name__ == "__main__":
    main()
