"""What patient-level privacy costs where all weights of one net are trained: disease/HCC, by the sites' own gradients.

The noise is rounded to the grid and not drawn by the sites' sampler, whose table takes minutes at these numbers.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor

from benchmarks.measuring import publish, quiet
from benchmarks.private_heads import Bench, labelled, load_bench
from benchmarks.private_utility import Arm
from ceus_models.nets.module_cache import build_initial_state, load_net
from ceus_models.nets.predict import predict_scores
from ceus_models.protocol.messages import LocalRule, PrivateRule, Task
from ceus_models.protocol.privacy.gradient_grid import clip_to_grid, compute_grid_step
from ceus_models.protocol.state import State, add_prefix, concatenate, split_like
from ceus_models.runtime.seeds import derive_seed
from ceus_models.study.taxonomy import TEST_COHORTS
from client.worker.tasks.inference import nets_of
from client.worker.tasks.place import Place
from client.worker.tasks.private_training import compute_gradients, group_patients
from client.worker.tasks.site_memory import SiteMemory

NET = "disease/HCC"
ROUNDS = 20
RATES = {
    Arm(math.inf): 0.5,
    Arm(10): 0.2,
    Arm(3): 0.1,
    Arm(1): 0.03,
    Arm(3, local=True): 0.02,
    Arm(3, paper=True): 0.3,
}
"""By hand, none of them charged."""


def sum_gradients(bench: Bench, state: State, turn: int) -> Tensor:
    """The sum (d) over patients in steps of the grid, as all sites together give it."""
    rule = LocalRule(momentum=0.0, private=PrivateRule(1.0, 1.0))
    inputs = add_prefix(state, f"{NET}|")
    task = Task("train", "bench", bench.seed, "s", turn, (NET,), inputs=inputs, rule=rule, recipe=bench.recipe)
    nets = nets_of(task, Place("all", SiteMemory(bench.memory)))
    patients = group_patients(NET, bench.samples["training_a"])
    return torch.stack([clip_to_grid(g, 1.0) for g in compute_gradients(NET, patients, nets, rule, turn)]).sum(0)


def train(bench: Bench, arm: Arm, rate: float) -> State:
    """The mean of the later half of the rounds."""
    start = build_initial_state(NET, bench.recipe, bench.seed)
    flat = concatenate(start.values())
    noise = arm.multiplier("training_a", ROUNDS, 1) / compute_grid_step(1.0, len(flat))
    generator = torch.Generator().manual_seed(derive_seed(bench.seed, str(arm)))
    mean = torch.zeros(len(flat), dtype=torch.float64)
    patients = len(group_patients(NET, bench.samples["training_a"]))
    for turn in range(1, ROUNDS + 1):
        total = sum_gradients(bench, split_like(flat, start), turn).double()
        total += (torch.randn(len(flat), dtype=torch.float64, generator=generator) * noise).round()
        flat = (flat.double() - rate * total * compute_grid_step(1.0, len(flat)) / patients).float()
        if turn > ROUNDS // 2:
            mean += flat.double() / (ROUNDS - ROUNDS // 2)
    return split_like(mean.float(), start)


def measure(bench: Bench, arm: Arm) -> float:
    """AUC on all test cohorts."""
    kept = load_net(NET, bench.recipe, train(bench, arm, RATES[arm]), None, torch.device("cpu"))
    samples = [sample for cohort in TEST_COHORTS for sample in bench.samples[cohort]]
    places, right, _ = labelled(NET, samples)
    return float(roc_auc_score(right, predict_scores(kept.module, samples, bench.recipe)[places, 0]))


def main() -> None:
    """Print the AUC of every arm and seed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, default=Path("runs/demo"), help="a demo with its hospitals")
    parser.add_argument("--memory", type=Path, default=Path("runs/private_utility"), help="where summaries are kept")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--out", type=Path, help="write the figures to this JSON file")
    asked = parser.parse_args()
    quiet()
    benches = [load_bench(asked.run / "hospitals", asked.memory, seed) for seed in range(1, asked.seeds + 1)]
    rows = [[str(arm), *(f"{measure(bench, arm):.3f}" for bench in benches)] for arm in RATES]
    publish("All weights of disease/HCC, AUC", ("ε", *(f"seed {bench.seed}" for bench in benches)), rows, asked.out)


if __name__ == "__main__":
    main()
