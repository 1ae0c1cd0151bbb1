"""What each clinical variable, the disease nets and the biomarker nets contributed to a fusion net's answer, exactly.

Shapley values (Shapley 1953; Lundberg and Lee 2017 for a baseline as here): the change of a probability when one part
of what the net sees is put in, averaged over all orders in which the parts could be. They add up to the whole
difference between the answer and the background's, and two parts that do the same get the same; neither holds for
leaving one part out, which counts what two variables say together twice or never. The net is small and has at most 19
parts, so all coalitions are asked (half a million): nothing is sampled.

Background: every selected clinical variable recorded at its training mean, every sub-model undecided (one half). A
variable that was not recorded contributes what its flag does.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from ceus_models.nets.fusion import SEES
from ceus_models.nets.predict import probabilities
from ceus_models.protocol.messages import Recipe
from ceus_models.study.taxonomy import BIOMARKERS, DISEASE_TYPES, LESION_TYPES

Floats = npt.NDArray[np.float64]
DISEASE, BIOMARKER = "disease nets", "biomarker nets"
_CHUNK = 1 << 15


@dataclass(frozen=True, eq=False)
class Contributions:
    """background, answer (6): probabilities by type · by_part: part → (6) what it added to each."""

    background: Floats
    answer: Floats
    by_part: Mapping[str, Floats]


def contributions(net: str, module: nn.Module, inputs: Tensor, recipe: Recipe) -> Contributions:
    """module: the fusion net of that name · inputs (1 inputs): of `fusion_inputs` for one lesion."""
    columns = parts_of(net, recipe)
    parts = list(dict.fromkeys(columns))
    part_of_column = torch.tensor([parts.index(name) for name in columns], device=inputs.device)

    def asked(coalitions: npt.NDArray[np.int64]) -> Floats:
        inside = torch.from_numpy(coalitions).to(inputs.device)[:, None] >> part_of_column & 1  # (m inputs)
        with torch.inference_mode():
            return probabilities(module(inputs * inside))  # the background is 0 in every column

    table = values_of(len(parts), len(LESION_TYPES), asked)
    return Contributions(table[0], table[-1], dict(zip(parts, shapley(table), strict=True)))


def parts_of(net: str, recipe: Recipe) -> list[str]:
    """The part that each column of `fusion_inputs` belongs to; a variable's value and its flag are one part."""
    columns = {
        "D": [DISEASE] * len(DISEASE_TYPES),
        "B": [BIOMARKER] * len(BIOMARKERS),
        "C": [*recipe.selected, *recipe.selected],
    }
    return [name for seen in SEES[net] for name in columns[seen]]


def values_of(parts: int, outputs: int, asked: Callable[[npt.NDArray[np.int64]], Floats]) -> Floats:
    """(2^parts outputs): what is answered for each coalition; bit i of its number says whether part i is in it."""
    table = np.empty((1 << parts, outputs))
    for start in range(0, len(table), _CHUNK):
        table[start : start + _CHUNK] = asked(np.arange(start, min(start + _CHUNK, len(table))))
    return table


def shapley(values: Floats) -> Floats:
    """(2^p k), the value of each coalition → (p k), the Shapley value of each part."""
    parts = len(values).bit_length() - 1
    sizes = np.bitwise_count(np.arange(len(values) // 2, dtype=np.uint64))  # of a coalition without the part
    orders = np.array([1 / (parts * math.comb(parts - 1, size)) for size in range(parts)])
    weights = orders[sizes] if parts else np.zeros(0)
    found = np.empty((parts, values.shape[1]))
    for part in range(parts):
        pairs = values.reshape(-1, 2, 1 << part, values.shape[1])  # (higher bits, without or with, lower bits, k)
        found[part] = weights @ (pairs[:, 1] - pairs[:, 0]).reshape(len(weights), -1)
    return found
