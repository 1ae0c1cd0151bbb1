"""Small made-up lesions and recipes for tests of nets and sites."""

from __future__ import annotations

import functools

import numpy as np
from pydantic import TypeAdapter

from ceus_models.nets.module_cache import build_initial_state
from ceus_models.protocol.messages import Architecture, LocalRule, Normaliser, Recipe, Task
from ceus_models.protocol.state import add_prefix, digest
from ceus_models.study.sample import Sample
from ceus_models.study.taxonomy import CLINICAL, LESION_TYPES, SUBMODELS

RECIPE = TypeAdapter(Recipe)
TINY = Architecture(spatial_depth=10, temporal_depth=10, width=8, hidden=4)


def recipe(architecture: Architecture = TINY, **weights: tuple[float, ...]) -> Recipe:
    normaliser = Normaliser(0.4, 0.2, 1.5, tuple(range(len(CLINICAL))), (2.0,) * len(CLINICAL))
    named = {name.replace("_", "/"): value for name, value in weights.items()}
    return Recipe(architecture, normaliser, ("age", "AFP"), named, fusion_hidden=5)


def lesion(number: int, cohort: str = "training_a", label: str | None = "", marker: float = 1.0) -> Sample:
    """A lesion that depends on its number alone; label "" cycles through the types."""
    rng = np.random.default_rng(number)
    clinical = rng.normal(5, 2, len(CLINICAL)).astype(np.float32)
    clinical[number % len(CLINICAL)] = np.nan
    return Sample(
        key=f"{number:016x}",
        patient=f"{number // 2:016x}",
        cohort=cohort,
        frames=rng.integers(0, 256, (5, 16, 16), dtype=np.uint8),
        flow=rng.integers(-127, 128, (3, 2, 16, 16), dtype=np.int8),
        flow_scale=0.04,
        curve=np.ones(5, np.float32),
        clinical=clinical,
        biomarkers=np.array([marker, number % 2, np.nan, 0.0], np.float32),
        label=LESION_TYPES[number % 5] if label == "" else label,
    )


def lesions(count: int, cohort: str = "training_a", first: int = 0) -> list[Sample]:
    return [lesion(first + i, cohort) for i in range(count)]


@functools.cache
def made(net: str, given: str, seed: int) -> dict:
    return build_initial_state(net, RECIPE.validate_json(given), seed)


def states(nets: tuple[str, ...], given: Recipe, seed: int = 1) -> dict:
    return {
        name: tensor
        for net in nets
        for name, tensor in add_prefix(made(net, RECIPE.dump_json(given).decode(), seed), f"{net}|").items()
    }


def task(kind: str, nets: tuple[str, ...] = (), given: Recipe | None = None, **changes: object) -> Task:
    given = given or recipe()
    values = {
        "kind": kind,
        "study": "a plan",
        "seed": 1,
        "stage": "stage",
        "round": 1,
        "nets": nets,
        "cohorts": (),
        "inputs": states(nets, given),
        "rule": LocalRule() if kind == "train" else None,
        "recipe": given,
        **changes,
    }
    return Task(**values)


def with_submodels(asked: Task) -> Task:
    """The task with the frozen sub-models and their digest."""
    models = states(SUBMODELS, asked.recipe)
    return Task(**{**vars(asked), "inputs": {**asked.inputs, **models}, "frozen": digest(models)})
