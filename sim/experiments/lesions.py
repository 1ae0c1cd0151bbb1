"""The lesions of all hospitals of a run, which only a simulation can pool, and a bundle's predictions for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ceus_models.bundle.model_bundle import Bundle, load_bundle
from ceus_models.runtime.errors import ExpectedError
from ceus_models.study.processing import Processing
from ceus_models.study.sample import Sample
from ceus_models.study.targets import find_target
from ceus_models.study.taxonomy import DISEASE_NETS, STRATEGY_A, STRATEGY_B
from client.data.dataset.samples import load_samples
from client.data.forms.site_config import load_site
from client.worker.tasks.inference import by_cohort
from server.report.publish import BUNDLE
from server.results.metrics import Ints
from sim.hospital.shared_hospitals import list_site_folders
from sim.runs.run import read_results


@dataclass(frozen=True, eq=False)
class Group:
    """Lesions of one cohort at one site, in the order of their keys, as in an evaluation."""

    site: str
    cohort: str
    samples: Sequence[Sample]


@dataclass(frozen=True)
class FinishedRun:
    """A finished run with its bundle and seed, for experiments that do not train."""

    folder: Path
    bundle: Bundle
    seed: int


def load_finished_run(folder: Path) -> FinishedRun:
    """Load a finished run. Raises ExpectedError if it is not finished or lacks its hospitals."""
    results = read_results(folder)
    bundle = load_bundle(folder / BUNDLE)
    if not list_site_folders(folder):
        raise ExpectedError(f"expected hospitals in {folder}, found none; copy them there, or run the plan there")
    return FinishedRun(folder, bundle, int(results["seed"]))


def load_groups(run: Path, processing: Processing, cohorts: Sequence[str]) -> list[Group]:
    """The lesions of some cohorts, by site and cohort. Raises ExpectedError if an index is missing."""
    found = []
    for folder in list_site_folders(run):
        own = by_cohort(load_samples(load_site(folder), processing))
        found += [Group(folder.name, cohort, own[cohort]) for cohort in cohorts if cohort in own]
    return found


def predict_groups(bundle: Bundle, groups: Sequence[Group], shown: str) -> npt.NDArray[np.float64]:
    """Probabilities (n k) of all lesions, group after group, as in an evaluation at the sites."""
    return np.concatenate([_predict_samples(bundle, group.samples, shown) for group in groups])


def _predict_samples(bundle: Bundle, samples: Sequence[Sample], shown: str) -> npt.NDArray[np.float64]:
    if shown != STRATEGY_B:
        return bundle.predict(samples, shown)
    return np.concatenate([bundle.predict(samples, net) for net in DISEASE_NETS], axis=1)


def list_targets(groups: Sequence[Group], shown: str) -> Ints:
    """Target class (n) of each lesion, -1 without one."""
    net = STRATEGY_A if shown == STRATEGY_B else shown
    found = [find_target(net, sample) for group in groups for sample in group.samples]
    return np.array([-1 if target is None else target for target in found], dtype=np.int64)


def majority_accuracy(target: Ints) -> float:
    """The accuracy of always predicting the most frequent type of the labelled lesions.

    >>> majority_accuracy(np.array([0, 0, 1, -1, 0]))
    0.75
    """
    known = target[target >= 0]
    return float(np.bincount(known).max() / len(known))
