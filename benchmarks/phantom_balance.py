"""How much of the answer the phantom's pictures hold, by scikit-learn, and how much of it small nets read.

    python -m benchmarks.phantom_balance [--share 1.0] [--seed 1] [--hertz 1.0] [--nets PASSES --seeds N] [--cache DIR]

Lesions of all cohorts in the study's own numbers (or a share of them), with the demo's small pictures. Rows: the
ceiling is a forest on the true parameters of a lesion's kinetics, pattern, echoes, size and outline; the zone baseline
is the mean level of five rings around the lesion's middle in every key frame, through extremely randomised trees; the
clinical row is a logistic regression. Validation is learnt from training A (five types), tests from A and B, the
clinical row from B; "folds" is over all lesions, by trees that have not seen the lesion. Markers: AUC over the tested
lesions of all cohorts, out of fold too. Confusions are of the ceiling and the zones, out of fold.

--nets trains the demo's nets on all lesions pooled, with so many passes at a rate of 0.05 that falls to 0 and a weight
decay of 0.001, and its fusion nets as planned, N times with seeds of their own; cells are the mean over them, and each.
16 passes take about 10 minutes a seed on a quiet core. The rest takes 5 to 10 minutes on two cores the first time;
samples are kept in FOLDER.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks.measuring import ROOT, publish, quiet
from benchmarks.phantom_lesions import Lesions, load_lesions, scale_lesions
from ceus_models.plan.plan import Plan, Stage, load_plan
from ceus_models.plan.train_stage import Train
from ceus_models.study.sample import Sample
from ceus_models.study.taxonomy import BIOMARKER_NETS, BIOMARKERS, LESION_TYPES, STRATEGY_A, STRATEGY_B, TEST_COHORTS
from client.data.dataset.worker_pool import map_trusted
from client.policy.policy_file import POLICY_FILE, load_policy
from client.worker.site.site import Site
from server.results.results import collect_results
from server.rounds.coordinator import run
from server.rounds.saving.checkpoints import Store
from sim.engine.inline_link import InlineLink
from sim.hospital.paperwork import write_policy
from sim.hospital.prepare import Simulation
from sim.runs.baselines import centralise_plan

Floats = npt.NDArray[np.float64]
COLUMNS = ("validation", *TEST_COHORTS)
ZONES = 5
TREES = 400
RATE, DECAY = 0.05, 0.001


def main() -> None:
    """Render or load, measure, report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--plan", type=Path, default=ROOT / "configs/plan.demo.yaml", help="default: the demo's")
    parser.add_argument("--share", type=float, default=1.0, help="of the study's 3,725 lesions")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--hertz", type=float, default=1.0, help="frame rate of the clips")
    parser.add_argument("--workers", type=int, default=2, help="processes that render, and train seeds; default 2")
    parser.add_argument("--nets", type=int, default=0, help="passes over the lesions; 0: no nets")
    parser.add_argument("--seeds", type=int, default=1, help="of the nets' training")
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "phantom_balance")
    parser.add_argument("--out", type=Path, help="write the accuracies to this JSON file")
    given = parser.parse_args()
    quiet()
    plan = load_plan(given.plan)
    simulation = scale_lesions(plan, given.share, given.seed, given.hertz)
    lesions = load_lesions(plan, simulation, given.cache, given.workers)
    rows = list(list_accuracies(lesions))
    markers = [measure_markers("ceiling", lesions, lesions.truth), measure_markers("zones", lesions, zones_of(lesions))]
    if given.nets:
        seeds = [_Seed(plan, simulation, given.cache, given.nets, given.seed + number) for number in range(given.seeds)]
        done = {one.seed: trained for one, trained in map_trusted(_Seed.train, seeds, given.workers)}
        found = [done[number] for number in sorted(done)]
        rows += [summarise(same) for same in zip(*(one.rows for one in found), strict=True)]
        markers.append(summarise([one.markers for one in found]))
    publish(f"accuracy, {len(lesions.samples)} lesions", ("what", *COLUMNS, "all tests", "folds"), rows, given.out)
    publish("AUC of the markers; GPC3 in HCC", ("what", *BIOMARKERS, "GPC3 in HCC"), markers, None)
    for name, inputs in (("ceiling", lesions.truth), ("zones", zones_of(lesions))):
        publish(f"{name}: true type by row, out of fold", ("type", *LESION_TYPES), confuse(lesions, inputs), None)


def zones_of(lesions: Lesions) -> Floats:
    """Mean level (n rings*frames) of rings around the middle of the crop, of the key frames."""
    frames = np.stack([sample.frames for sample in lesions.samples])
    side = frames.shape[-1]
    away = (np.arange(side) + 0.5) / side * 2 - 1
    ring = np.minimum(np.hypot(away[:, None], away[None, :]) * ZONES, ZONES - 1e-9).astype(int)
    means = [frames[:, :, ring == number].mean(axis=-1) for number in range(ZONES)]
    return np.concatenate(means, axis=1)


def grow_trees() -> ExtraTreesClassifier:
    """The trees of every baseline."""
    return ExtraTreesClassifier(TREES, random_state=1, n_jobs=2)


def list_accuracies(lesions: Lesions) -> Iterator[Sequence[object]]:
    """A row of accuracies for the ceiling, the zones and the clinical variables."""
    label = labels_of(lesions)
    clinical = np.stack([sample.clinical for sample in lesions.samples])
    logistic = make_pipeline(SimpleImputer(), StandardScaler(), LogisticRegression(max_iter=2000))
    for name, inputs in (("ceiling", lesions.truth), ("zones", zones_of(lesions))):
        five = grow_trees().fit(inputs[lesions.where("training_a")], label[lesions.where("training_a")])
        both = lesions.where("training_a", "training_b")
        six = grow_trees().fit(inputs[both], label[both])
        guessed = np.where(
            [s.cohort == "validation" for s in lesions.samples], five.predict(inputs), six.predict(inputs)
        )
        folds = (out_of_fold(lesions, inputs) == label).mean()
        yield (name, *score(lesions, guessed == label), f"{folds:.3f}")
    known = lesions.where("training_b")
    yield ("clinical", *score(lesions, logistic.fit(clinical[known], label[known]).predict(clinical) == label), "")


def labels_of(lesions: Lesions) -> npt.NDArray[np.str_]:
    """Types (n)."""
    return np.array([sample.label for sample in lesions.samples])


def out_of_fold(lesions: Lesions, inputs: Floats) -> npt.NDArray[np.str_]:
    """Types (n) by trees that have not seen the lesion."""
    return np.asarray(cross_val_predict(grow_trees(), inputs, labels_of(lesions), cv=5))


def score(lesions: Lesions, right: npt.NDArray[np.bool_]) -> list[str]:
    """Accuracy by cohort, and over all tests."""
    groups = [*((cohort,) for cohort in COLUMNS), TEST_COHORTS]
    return [f"{right[lesions.where(*group)].mean():.3f}" for group in groups]


def measure_markers(name: str, lesions: Lesions, inputs: Floats) -> Sequence[object]:
    """AUC of each marker over the tested lesions, and of GPC3 over the HCC among them."""
    status = np.stack([sample.biomarkers for sample in lesions.samples])
    hcc = labels_of(lesions) == "HCC"
    columns = [(i, np.isfinite(status[:, i])) for i in range(len(BIOMARKERS))]
    gpc3 = BIOMARKERS.index("GPC3")
    columns.append((gpc3, np.isfinite(status[:, gpc3]) & hcc))
    cells: list[object] = [name]
    for i, tested in columns:
        leafy = ExtraTreesClassifier(TREES, min_samples_leaf=4, random_state=1, n_jobs=2)
        chance = cross_val_predict(leafy, inputs[tested], status[tested, i], cv=5, method="predict_proba")[:, 1]
        cells.append(f"{roc_auc_score(status[tested, i], chance):.3f}")
    return cells


def confuse(lesions: Lesions, inputs: Floats) -> list[Sequence[object]]:
    """Rows of true types: how often each type was guessed."""
    guessed = out_of_fold(lesions, inputs)
    pairs = Counter(zip(labels_of(lesions).tolist(), guessed.tolist(), strict=True))
    return [(true, *(pairs[true, other] for other in LESION_TYPES)) for true in LESION_TYPES]


Row = tuple[str, tuple[float | None, ...]]
"""What was measured, and its numbers by column; None where there is none."""


@dataclass(frozen=True)
class Trained:
    """Accuracies of strategies A and B and of the fusion nets; AUC of the biomarker nets in validation."""

    rows: list[Row]
    markers: Row


def summarise(rows: Sequence[Row]) -> Sequence[object]:
    """The rows of several seeds as one: the mean of each column, and each seed's where there are more."""
    cells: list[object] = [rows[0][0]]
    for column in zip(*(numbers for _, numbers in rows), strict=True):
        known = [number for number in column if number is not None]
        each = f" ({', '.join(f'{number:.3f}' for number in known)})" if len(known) > 1 else ""
        cells.append(f"{np.mean(known):.3f}{each}" if known else "")
    return cells


@dataclass(frozen=True, eq=False)
class _Opener:
    """Opens one site with all lesions."""

    samples: Sequence[Sample]
    processing: str
    memory: Path

    def __call__(self, site: str) -> Site:
        self.memory.mkdir(parents=True)
        write_policy(self.memory / POLICY_FILE, "open")
        return Site(site, self.samples, self.processing, load_policy(self.memory), self.memory)


@dataclass(frozen=True, eq=False)
class _Seed:
    """One seed of the nets' training, as map_trusted takes it."""

    plan: Plan
    simulation: Simulation
    cache: Path
    passes: int
    seed: int

    def train(self) -> Trained:
        torch.set_num_threads(1)
        return train_nets(load_lesions(self.plan, self.simulation, self.cache, 1), self.plan, self.passes, self.seed)


def train_nets(lesions: Lesions, plan: Plan, passes: int, seed: int) -> Trained:
    """Train the plan's nets on all lesions pooled, as the pooled baseline of a run does."""
    pooled = centralise_plan(replace(plan, stages=tuple(shorten(stage, passes) for stage in plan.stages)))
    with tempfile.TemporaryDirectory() as folder:
        opener = _Opener(lesions.samples, plan.processing.digest(), Path(folder, "memory"))
        progress = run(pooled, InlineLink(["pooled"], opener), Store(Path(folder, "run")), seed)
        found = collect_results(progress, pooled, seed)
    rows: list[Row] = []
    for name, net in (("strategy A", STRATEGY_A), ("strategy B", STRATEGY_B)):
        rows.append((name, (found["nets"][net]["validation"]["accuracy"]["value"], *[None] * 6)))
    for model in ("D", "DC", "DB", "DCB"):
        cells = [found["cohorts"][cohort]["models"][model]["accuracy"]["value"] for cohort in TEST_COHORTS]
        sizes = [len(lesions.where(cohort)) for cohort in TEST_COHORTS]
        rows.append((model, (None, *cells, float(np.average(cells, weights=sizes)), None)))
    aucs = [found["nets"][net]["validation"]["auc"]["value"] for net in BIOMARKER_NETS]
    return Trained(rows, ("nets, validation", (*aucs, None)))


def shorten(stage: Stage, passes: int) -> Stage:
    """A stage of training with so many passes over each lesion; the others as they are."""
    if not isinstance(stage, Train) or stage.nets == ("fusion",):
        return stage
    rounds = max(1, round(passes / stage.rule.epochs / stage.share))
    return replace(stage, rounds=rounds, rule=replace(stage.rule, learning_rate=RATE, weight_decay=DECAY))


if __name__ == "__main__":
    main()
