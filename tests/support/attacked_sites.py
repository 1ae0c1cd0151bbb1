"""Made-up lesions with clinical values that a hospital could have, and sites without any defence, to be attacked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import torch

from ceus_models.metrics.bootstrap import poisson_weights
from ceus_models.plan.plan import Plan, parse_plan
from ceus_models.protocol.messages import Level, Refusal, Task, Update
from ceus_models.protocol.state import State
from ceus_models.protocol.task_id import compute_task_id
from ceus_models.study.sample import Sample
from ceus_models.study.targets import find_target
from ceus_models.study.taxonomy import CLINICAL, Variable
from client.policy.policy import TaskDeclined
from client.worker.site.site import Site
from client.worker.tasks.handlers import WORK
from client.worker.tasks.inference import by_cohort, nets_of
from client.worker.tasks.place import Place
from client.worker.tasks.site_memory import SiteMemory
from sim.attacks.coordinator import SUMMED, CuriousCoordinator
from sim.attacks.hospitals import build_policy, learn_recipe, protect_plan

SIDE, FRAMES = 32, 6
CELL = 5
VALUES = {
    "name": "attacked",
    "architecture": {"spatial_depth": 10, "temporal_depth": 10, "width": 8, "hidden": 16},
    "fusion_hidden": 32,
    "stages": [
        {"stage": "hello"},
        {"stage": "statistics", "cohorts": ["training_a"], "min_correlation": 0.0},
        {
            "stage": "train",
            "name": "submodels",
            "nets": ["submodels"],
            "cohorts": ["training_a"],
            "rounds": 3,
            "rule": {"batch_size": 8},
        },
        {
            "stage": "train",
            "name": "fusion",
            "nets": ["fusion"],
            "cohorts": ["training_b"],
            "rounds": 12,
            "rule": {"epochs": 2, "batch_size": 8, "weight_decay": 0.0005},
        },
        {"stage": "evaluate", "name": "test", "nets": ["fusion"], "cohorts": ["external_test_c"], "replicates": 0},
    ],
}


def small_plan() -> Plan:
    """A plan of small nets."""
    plan, faults = parse_plan(VALUES)
    assert plan is not None, faults
    return plan


def made_lesion(number: int, cohort: str, label: str) -> Sample:
    """A lesion of a patient of its own: smooth images, clinical values in their ranges, some of them missing."""
    draws = np.random.default_rng(number)
    values = [draws.integers(30, 90), *(_draw_value(v, draws) for v in CLINICAL[1:])]
    clinical = np.array(values, np.float32)
    clinical[7 + number % 10] = np.nan
    frames = [cv2.GaussianBlur(draws.random((SIDE, SIDE)), (0, 0), 3.0) for _ in range(FRAMES)]
    levels = np.stack(frames)
    levels = (levels - levels.min()) / np.ptp(levels) * 200
    years = float(clinical[0])
    groups = {"manufacturer": ("GE", "Philips", "Canon")[number % 3], "cirrhosis": ("no", "yes")[int(clinical[4])]}
    groups |= {"age": "<50" if years < 50 else "50-60" if years <= 60 else ">60"}
    return Sample(
        key=f"{number:016x}",
        patient=f"p{number:015x}",
        cohort=cohort,
        frames=levels.astype(np.uint8),
        flow=draws.integers(-50, 50, (2, 2, SIDE, SIDE), dtype=np.int8),
        flow_scale=0.04,
        curve=np.ones(FRAMES, np.float32),
        clinical=clinical,
        biomarkers=np.array([1, 0, np.nan, 1], np.float32),
        label=label,
        groups=groups,
    )


def _draw_value(variable: Variable, draws: np.random.Generator) -> float:
    if variable.kind == "binary":
        return float(draws.integers(2))
    low, high = (variable.apply_transform(value) for value in (variable.low, variable.high))
    return float(draws.normal((low + high) / 2, (high - low) / 12))


def made_lesions(count: int, cohort: str, first: int, lone: bool = False) -> list[Sample]:
    """So many lesions of two types; `lone`: the first one is the only one of a third type."""
    labels = ["ICC" if lone and number == 0 else ("HCC", "HM")[number % 2] for number in range(count)]
    return [made_lesion(first + number, cohort, label) for number, label in enumerate(labels)]


@dataclass(frozen=True, eq=False)
class OpenSite:
    """A site without policy, plan or release: whatever is asked is worked out and leaves as it is."""

    name: str
    samples: Sequence[Sample]
    memory: Path
    records: Path | None = None

    def handle(self, task: Task) -> Update | Refusal:
        place = Place(self.name, SiteMemory(self.memory))
        chosen = [sample for sample in self.samples if not task.cohorts or sample.cohort in task.cohorts]
        try:
            if not chosen:
                raise TaskDeclined("no_lesions", "there are none in these cohorts")
            leaked = leak(task, chosen, place) if task.kind == "evaluate" else {}
            sums, weight = WORK[task.kind](task, chosen, place)
            for name, table in sums.items():
                if name.endswith("clinical_by_type"):  # small cells are held back, the total is not
                    table[table[..., 0] < CELL] = 0.0
            sums |= leaked
        except TaskDeclined as no:
            return Refusal(self.name, no.reason, no.code)
        except Exception as error:
            return Refusal(self.name, f"unexpected {type(error).__name__}", "error")
        return Update(self.name, sums, weight, task=compute_task_id(task))


def leak(task: Task, samples: Sequence[Sample], place: Place) -> State:
    """What evaluations released once: a histogram of 2,048 bins, and replicates of one of 64."""
    sums: dict[str, torch.Tensor] = {}
    for cohort, cases in by_cohort(samples).items():
        draws = np.stack([poisson_weights(task.seed, case.key, task.replicates) for case in cases])  # (n 1+R)
        for net in task.nets:
            p = nets_of(task, place).probabilities(net, cases)
            if np.isnan(p).any():
                raise IndexError("a lesion has no bin")
            logit = np.clip(np.log(p.clip(1e-12)) - np.log1p(-p.clip(None, 1 - 1e-12)), -8, 8)
            right = np.array([find_target(net, case) for case in cases])[:, None] == np.arange(p.shape[1])
            tables = [("fine", 2048, draws[:, :1]), *([("scores", 64, draws)] if task.replicates else [])]
            for name, bins, weights in tables:
                place_of = np.minimum((logit + 8) / 16 * bins, bins - 1).astype(int)
                table = np.zeros((p.shape[1], 2, bins, weights.shape[1]), np.int32)
                for row in range(len(cases)):
                    np.add.at(table, (np.arange(p.shape[1]), right[row].astype(int), place_of[row]), weights[row])
                whole = torch.from_numpy(np.moveaxis(table, 3, 0).copy())
                sums[f"{cohort}|{net}|{name}"] = whole[0] if name == "fine" else whole
    return sums


def made_hospital(number: int) -> list[Sample]:
    """The lesions of one hospital: a lone lesion of a type in each of two cohorts, and two types of the others."""
    first = number * 1000
    return [
        *made_lesions(13, "training_a", first, lone=True),
        *made_lesions(12, "training_b", first + 100),
        *made_lesions(12, "external_test_c", first + 200),
    ]


def open_attacker(folder: Path) -> CuriousCoordinator:
    """The attacker before one site without any defence."""
    plan = protect_plan(small_plan(), "none")
    site = OpenSite("site-01", made_hospital(1), folder)
    return CuriousCoordinator([site], plan, 1, learn_recipe(plan, [site]))


def guarded_attacker(folder: Path, level: Level, units: int = 32) -> CuriousCoordinator:
    """The attacker before sites under the policy that comes with a site, at this level. units: of the fusion nets."""
    plan = protect_plan(replace(small_plan(), fusion_hidden=units), level)
    policy, digest = build_policy(plan, level), plan.processing.digest()
    numbers = range(1, 5 if level in SUMMED else 2)
    sites = [Site(f"site-{n:02d}", made_hospital(n), digest, policy, folder / str(n)) for n in numbers]
    return CuriousCoordinator(sites, plan, 1, learn_recipe(plan, sites), level)
