"""How much of the answer the phantom's pictures hold, by scikit-learn, and how much of it small nets read.

    python -m benchmarks.phantom_balance [--share 1.0] [--seed 1] [--hertz 1.0] [--nets PASSES --seeds N] [--cache DIR]

Lesions of all cohorts in the study's own numbers (or a share of them), with the demo's small pictures. Rows: the
ceiling is a forest on the true parameters of a lesion's kinetics, pattern, echoes, size and outline; the zone baseline
is the mean level of five rings around the lesion's middle in every key frame, through extremely randomised trees; the
clinical row is a logistic regression. Validation is learnt from training A (five types), tests from A and B, the
clinical row from B; "folds" is over all lesions, by trees that have not seen the lesion. Markers: AUC over the tested
lesions of all cohorts, out of fold too. Confusions are of the ceiling and the zones, out of fold.

--nets trains the demo's nets on all lesions pooled, with so many passes at the plan's pooled rate that falls to 0 and
a weight decay of 0.001, and its fusion nets as planned, N times, with seeds of the lesions and of the training; cells
are the mean over them, and each. 32 passes take about 5 to 20 minutes a seed on a core, the rest 5 to 15 minutes on two
cores the first time; samples are kept in DIR.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks.measuring import ROOT, publish, quiet
from benchmarks.phantom_lesions import Lesions, load_lesions, scale_lesions
from benchmarks.phantom_nets import Seed, summarise
from ceus_models.plan.plan import load_plan
from ceus_models.study.taxonomy import BIOMARKERS, LESION_TYPES, TEST_COHORTS
from client.data.dataset.worker_pool import map_trusted

Floats = npt.NDArray[np.float64]
COLUMNS = ("validation", *TEST_COHORTS)
ZONES = 5
TREES = 400


def main() -> None:
    """Render or load, measure, report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--plan", type=Path, default=ROOT / "configs/plan.demo.yaml", help="default: the demo's")
    parser.add_argument("--share", type=float, default=1.0, help="of the study's 3,725 lesions")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--hertz", type=float, default=1.0, help="frame rate of the clips")
    parser.add_argument("--workers", type=int, default=2, help="processes that render, and train seeds; default 2")
    parser.add_argument("--nets", type=int, default=0, help="passes over the lesions; 0: no nets")
    parser.add_argument("--seeds", type=int, default=1, help="of the nets' training, and of its lesions")
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
        simulations = [
            scale_lesions(plan, given.share, given.seed + number, given.hertz) for number in range(given.seeds)
        ]
        for one in simulations:
            load_lesions(plan, one, given.cache, given.workers)
        seeds = [Seed(plan, one, given.cache, given.nets, given.seed + n) for n, one in enumerate(simulations)]
        done = {one.seed: trained for one, trained in map_trusted(Seed.train, seeds, given.workers)}
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


if __name__ == "__main__":
    main()
