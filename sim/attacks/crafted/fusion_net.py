"""Fusion nets whose weights are written by hand: which patient moves which number of an answer."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ceus_models.nets.fusion import LOGIT_UNIT, VARIANT_INPUTS, build_fusion_inputs, count_inputs
from ceus_models.nets.module_cache import build_initial_state
from ceus_models.protocol.messages import Recipe, Task
from ceus_models.protocol.state import State, add_prefix, digest
from ceus_models.study.sample import Sample
from ceus_models.study.taxonomy import BIOMARKERS, CLINICAL_NAMES, DISEASE_TYPES, LESION_TYPES, SUBMODELS
from sim.attacks.coordinator import Refused

Floats = npt.NDArray[np.float64]
TYPES = len(LESION_TYPES)


def build_constant_submodels(recipe: Recipe) -> dict[str, Tensor]:
    """Sub-models that say the same of every lesion, so that a fusion net's first input is the number 1."""
    state: dict[str, Tensor] = {}
    for net in SUBMODELS:
        zeros = {name: torch.zeros_like(t) for name, t in build_initial_state(net, recipe, 0).items()}
        for head in ("spatial_head.bias", "temporal_head.bias"):
            zeros[head] = torch.full_like(zeros[head], LOGIT_UNIT)
        state |= add_prefix(zeros, f"{net}|")
    return state


def build_inputs(net: str, samples: Sequence[Sample], recipe: Recipe) -> Tensor:
    """What a fusion net sees of some lesions over the constant sub-models."""
    said = np.full((len(samples), len(SUBMODELS)), 1 / (1 + math.exp(-LOGIT_UNIT)), np.float32)
    return build_fusion_inputs(net, said, samples, recipe)


def add_submodels(task: Task, recipe: Recipe) -> Task:
    """The task with constant sub-models and their digest."""
    models = build_constant_submodels(recipe)
    return replace(task, inputs={**task.inputs, **models}, frozen=digest(models), recipe=recipe)


@dataclass(frozen=True, eq=False)
class Question:
    """A linear function of a lesion's standardised clinical values (0 where missing) and flags of missing ones.

    Args:
        values: (variables) weights in the order of CLINICAL.
        flags: (variables) weights of "not recorded".
        constant: added.
    """

    values: Floats
    flags: Floats
    constant: float = 0.0

    def ask(self, clinical: npt.NDArray[np.float32], recipe: Recipe) -> float:
        """The function of one lesion."""
        values, missing = standardise(clinical, recipe)
        return float(self.values @ values + self.flags @ missing + self.constant)

    def scale(self, factor: float) -> Question:
        """The function times `factor`."""
        return Question(self.values * factor, self.flags * factor, self.constant * factor)

    def add(self, constant: float) -> Question:
        """The function plus a constant."""
        return replace(self, constant=self.constant + constant)


def ask_variable(name: str, recipe: Recipe) -> Question:
    """The value of one variable in its own transformed unit; its mean where it is not recorded."""
    place = CLINICAL_NAMES.index(name)
    values = np.zeros(len(CLINICAL_NAMES))
    values[place] = _scale_of(recipe)[place]
    return Question(values, np.zeros(len(CLINICAL_NAMES)), float(recipe.normaliser.clinical_mean[place]))


def standardise(clinical: npt.NDArray[np.float32], recipe: Recipe) -> tuple[Floats, Floats]:
    """A lesion's values as a fusion net sees them, and flags of what is not recorded, both (variables)."""
    missing = np.isnan(clinical)
    standard = (clinical.astype(np.float64) - np.array(recipe.normaliser.clinical_mean)) / _scale_of(recipe)
    return np.where(missing, 0.0, standard), missing.astype(np.float64)


def restore(values: Floats, missing: Floats, recipe: Recipe) -> Floats:
    """The clinical values (… variables) from standardised ones; NaN where a flag says so."""
    found = values * _scale_of(recipe) + np.array(recipe.normaliser.clinical_mean)
    return np.asarray(np.where(np.abs(missing - 1) < 0.01, math.nan, found))


def _scale_of(recipe: Recipe) -> Floats:
    sd = np.array(recipe.normaliser.clinical_sd)
    return np.asarray(np.where(sd > 0, sd, 1.0))


class CraftedFusion:
    """A fusion net (zeros at first) with disease inputs, and clinical ones for the recipe's selected variables."""

    def __init__(self, net: str, recipe: Recipe) -> None:
        """Start with zeros. net: fusion/DC or fusion/DCB. Raises Refused for a linear net, which has no units."""
        if not recipe.fusion_hidden:
            raise Refused("plan", "the plan's fusion nets are linear: there is no unit to write")
        self.net, self.recipe = net, recipe
        self.hidden = torch.zeros(recipe.fusion_hidden, count_inputs(net, recipe), dtype=torch.float64)
        self.out = torch.zeros(TYPES, recipe.fusion_hidden, dtype=torch.float64)
        self.out_bias = torch.zeros(TYPES, dtype=torch.float64)
        self._columns = _find_columns(net, recipe)

    @property
    def units(self) -> int:
        """Width of the hidden layer."""
        return self.recipe.fusion_hidden

    def copies(self, copy: int) -> tuple[list[int], list[int]]:
        """Columns of values and of flags of each selected variable's first or later copy."""
        values, flags = self._columns
        each = len(self.recipe.selected) // max(1, self._repeats())
        part = slice(copy * each, (copy + 1) * each)
        return values[part], flags[part]

    def write(self, unit: int, question: Question) -> None:
        """Let a hidden unit be relu(question). Weights of variables that the recipe lacks have no place."""
        values, flags = self.copies(0)
        places = [CLINICAL_NAMES.index(name) for name in self.recipe.selected[: len(values)]]
        self.hidden[unit, values] = torch.from_numpy(question.values[places])
        self.hidden[unit, flags] = torch.from_numpy(question.flags[places])
        self.hidden[unit, 0] = question.constant

    def state(self) -> dict[str, Tensor]:
        """The weights on the wire."""
        named = {
            "hidden.weight": self.hidden,
            "hidden.bias": torch.zeros(self.units),
            "out.weight": self.out,
            "out.bias": self.out_bias,
        }
        return {f"{self.net}|{name}": tensor.float() for name, tensor in named.items()}

    def read(self, sums: State, copy: int = 0) -> tuple[Floats, Floats, Floats]:
        """What training did to the hidden layer: values (units v), flags (units v) and biases (units)."""
        weights = sums[f"{self.net}|hidden.weight"].double().numpy()
        values, flags = self.copies(copy)
        return weights[:, values], weights[:, flags], sums[f"{self.net}|hidden.bias"].double().numpy()

    def _repeats(self) -> int:
        return len(self.recipe.selected) // max(1, len(set(self.recipe.selected)))


def join_states(*nets: CraftedFusion) -> dict[str, Tensor]:
    """The weights of several nets as a task's inputs."""
    return {name: tensor for net in nets for name, tensor in net.state().items()}


def _find_columns(net: str, recipe: Recipe) -> tuple[list[int], list[int]]:
    """Columns of the selected variables' values and flags among a fusion net's inputs."""
    sizes: Mapping[str, int] = {"D": len(DISEASE_TYPES), "B": len(BIOMARKERS)}
    parts = VARIANT_INPUTS[net]
    first = sum(sizes[part] for part in parts[: parts.index("C")])
    count = len(recipe.selected)
    return list(range(first, first + count)), list(range(first + count, first + 2 * count))
