"""Exact Shapley values (Shapley 1953; Lundberg and Lee 2017) of a fusion net's inputs.

The value of a part is the change of a probability when it is added, averaged over all orders of adding the parts. The
values add up to the difference between prediction and background; leaving out one part at a time would count the joint
effect of two variables twice or never. A fusion net is small: with the study's 17 variables it has 19 parts, so all
coalitions (half a million) are computed, none is sampled. With all 21 candidates there would be eight million.

Background: each clinical variable at its training mean, each sub-model at one half. A variable that was not recorded
contributes through its flag.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from ceus_models.nets.fusion import VARIANT_INPUTS
from ceus_models.nets.predict import compute_probabilities
from ceus_models.protocol.messages import Recipe
from ceus_models.study.taxonomy import BIOMARKERS, DISEASE_TYPES, LESION_TYPES

Floats = npt.NDArray[np.float64]
DISEASE, BIOMARKER = "disease nets", "biomarker nets"
_CHUNK = 1 << 15


@dataclass(frozen=True, eq=False)
class Contributions:
    """Probabilities (6) of the background and of the prediction (`answer`), and the contribution (6) of each part."""

    background: Floats
    answer: Floats
    by_part: Mapping[str, Floats]


def compute_contributions(net: str, module: nn.Module, inputs: Tensor, recipe: Recipe) -> Contributions:
    """Shapley values of one lesion's inputs.

    Args:
        net: name of the fusion net.
        module: that net.
        inputs: (1 inputs) of `build_fusion_inputs` for one lesion.
        recipe: of the study.
    """
    columns = list_parts(net, recipe)
    parts = list(dict.fromkeys(columns))
    part_of_column = torch.tensor([parts.index(name) for name in columns], device=inputs.device)

    def predict(coalitions: npt.NDArray[np.int64]) -> Floats:
        inside = torch.from_numpy(coalitions).to(inputs.device)[:, None] >> part_of_column & 1  # (m inputs)
        with torch.inference_mode():
            return compute_probabilities(module(inputs * inside))  # the background is 0 in every column

    table = evaluate_coalitions(len(parts), len(LESION_TYPES), predict)
    return Contributions(table[0], table[-1], dict(zip(parts, shapley_values(table), strict=True)))


def list_parts(net: str, recipe: Recipe) -> list[str]:
    """The part of each column of `build_fusion_inputs`; a variable and its flag are one part."""
    columns = {
        "D": [DISEASE] * len(DISEASE_TYPES),
        "B": [BIOMARKER] * len(BIOMARKERS),
        "C": [*recipe.selected, *recipe.selected],
    }
    return [name for seen in VARIANT_INPUTS[net] for name in columns[seen]]


def evaluate_coalitions(parts: int, outputs: int, predict: Callable[[npt.NDArray[np.int64]], Floats]) -> Floats:
    """Predictions (2^parts outputs) of all coalitions; bit i of a coalition's number is 1 if part i is in it."""
    table = np.empty((1 << parts, outputs))
    for start in range(0, len(table), _CHUNK):
        table[start : start + _CHUNK] = predict(np.arange(start, min(start + _CHUNK, len(table))))
    return table


def shapley_values(values: Floats) -> Floats:
    """Shapley values (p k) of the parts from the values (2^p k) of the coalitions.

    >>> shapley_values(np.array([[0.0], [1.0], [2.0], [5.0]])).tolist()
    [[2.0], [3.0]]
    """
    parts = len(values).bit_length() - 1
    sizes = np.bitwise_count(np.arange(len(values) // 2, dtype=np.uint64))  # of a coalition without the part
    orders = np.array([1 / (parts * math.comb(parts - 1, size)) for size in range(parts)])
    weights = orders[sizes] if parts else np.zeros(0)
    found = np.empty((parts, values.shape[1]))
    for part in range(parts):
        pairs = values.reshape(-1, 2, 1 << part, values.shape[1])  # (higher bits, without or with, lower bits, k)
        found[part] = weights @ (pairs[:, 1] - pairs[:, 0]).reshape(len(weights), -1)
    return found
