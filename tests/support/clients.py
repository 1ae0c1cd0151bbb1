"""The sites of the link benchmark: our own client on made-up lesions, the same for our link and for Flower's."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from ceus_models.nets.module_cache import build_initial_state
from ceus_models.plan.plan import Plan
from ceus_models.plan.train_stage import Train
from ceus_models.protocol.messages import Architecture, LocalRule, Refusal, Task, Update
from ceus_models.protocol.state import add_prefix, digest
from ceus_models.protocol.task_id import compute_task_id
from ceus_models.runtime.seeds import derive_seed
from ceus_models.study.processing import Processing
from ceus_models.study.sample import Sample
from ceus_models.study.taxonomy import BIOMARKERS, CLINICAL, LESION_TYPES, SUBMODELS
from client.worker.site.site import Site
from tests.support.federation import COHORT, SEED, recipe_for
from tests.support.open_policy import open_policy

Case = Literal["link", "tiny", "large"]
SITES = {"link": 52, "tiny": 52, "large": 36}
NET = {"link": "fusion/DCB", "tiny": "fusion/DCB", "large": "disease/HCC"}
LESIONS = {"link": 10, "tiny": 10, "large": 1}
SMALL = Processing(frames_to_peak=3, frames_after=1, size=32, flow_maps=2, flow_size=32)
LITTLE = Architecture(spatial_depth=10, temporal_depth=10, width=8, hidden=4)


def plan_of(case: Case, rounds: int) -> Plan:
    """Rounds of one net. link, tiny: a fusion net of a thousand parameters · large: the paper's net, 134 MB."""
    rule = LocalRule(epochs=1, batch_size=16, learning_rate=0.01)
    stage = Train("train", "bench", (NET[case],), (COHORT,), rounds, rule=rule)
    architecture = Architecture() if case == "large" else LITTLE
    return Plan("benchmark", (stage,), processing=SMALL, architecture=architecture)


def names_of(sites: int) -> list[str]:
    """site-01, site-02 and so on."""
    return [f"site-{number:02d}" for number in range(1, sites + 1)]


@dataclass(frozen=True)
class Nudging:
    """The least a client can do: it adds a constant to every parameter. What remains is the link."""

    name: str

    def handle(self, task: Task) -> Update | Refusal:
        """The answer to a training task."""
        if not task.nets:
            return Refusal(self.name, "nothing to nudge", "no_lesions")
        net = task.nets[0]
        sums = {name: torch.full_like(tensor, 1e-3) for name, tensor in task.inputs.items()}
        one = torch.ones((), dtype=torch.float64)
        return Update(self.name, {**sums, f"{net}|#weight": one, f"{net}|#loss": one}, 1.0, task=compute_task_id(task))


@dataclass(frozen=True)
class Opener:
    """Opens the sites of a case. Picklable."""

    case: Case
    folder: Path

    def __call__(self, site: str) -> Site | Nudging:
        """The site; all of it follows from its name. A tiny one has seen its frozen sub-models already."""
        if self.case == "link":
            return Nudging(site)
        samples = [lesion(site, number, SMALL) for number in range(LESIONS[self.case])]
        opened = Site(site, samples, SMALL.digest(), open_policy(), self.folder / site)
        if self.case == "tiny" and not opened.memory.exists():
            opened.handle(with_submodels(task_of(self.case)))
        return opened


def lesion(site: str, number: int, processing: Processing) -> Sample:
    """A lesion that depends on its name alone; types and both answers of every biomarker alternate."""
    key = f"{derive_seed(site, number):016x}"[:16]
    draw = np.random.default_rng(derive_seed(key))
    frames, size = processing.frames, processing.size
    flow = (processing.flow_maps, 2, processing.flow_size, processing.flow_size)
    return Sample(
        key=key,
        patient=key,
        cohort=COHORT,
        frames=draw.integers(0, 256, (frames, size, size), dtype=np.uint8),
        flow=draw.integers(-127, 128, flow, dtype=np.int8),
        flow_scale=0.04,
        curve=np.ones(frames, np.float32),
        clinical=np.zeros(len(CLINICAL), np.float32),
        biomarkers=((number + np.arange(len(BIOMARKERS))) % 2).astype(np.float32),
        label=LESION_TYPES[number % 5],
        groups={},
        quality={},
    )


def task_of(case: Case) -> Task:
    """The first round's task, with the initial net; the frozen sub-models' digest where the net stands on them."""
    plan = plan_of(case, 1)
    stage, net, recipe = plan.stages[0], NET[case], recipe_for(plan)
    task = Task(
        kind="train",
        study=plan.digest(),
        seed=SEED,
        stage=stage.name,
        round=1,
        nets=(net,),
        cohorts=(COHORT,),
        inputs=add_prefix(build_initial_state(net, recipe, SEED), f"{net}|"),
        rule=stage.rule if isinstance(stage, Train) else None,
        recipe=recipe,
        processing=plan.processing.digest(),
    )
    return task if case == "large" else replace(task, frozen=digest(submodels()))


def with_submodels(task: Task) -> Task:
    """The task as it is sent to a site that has not seen the frozen sub-models."""
    return replace(task, inputs={**task.inputs, **submodels()})


def submodels() -> dict[str, torch.Tensor]:
    """The frozen sub-models, as initialised."""
    recipe = recipe_for(plan_of("tiny", 1))
    return {
        name: tensor
        for net in SUBMODELS
        for name, tensor in add_prefix(build_initial_state(net, recipe, SEED), f"{net}|").items()
    }
