"""What a net says of lesions: probabilities, batch by batch, and BatchNorm statistics where it has none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from ceus_models.nets.factory import CPU
from ceus_models.nets.two_stream import Output, prepare
from ceus_models.protocol.messages import Recipe
from ceus_models.study.sample import Sample

PREDICT_BATCH = 16
MOMENTUM = 0.1
"""torch's own for BatchNorm."""


class Answers(NamedTuple):
    """What a two-stream net says of n lesions. final, spatial, temporal (n k): probabilities, of both branches and of
    each, k = 1 for a binary net · spatial_weight (n): the spatial branch's share in the final one, 0-1.
    """

    final: npt.NDArray[np.float64]
    spatial: npt.NDArray[np.float64]
    temporal: npt.NDArray[np.float64]
    spatial_weight: npt.NDArray[np.float64]


def scores(module: nn.Module, samples: Sequence[Sample], recipe: Recipe) -> npt.NDArray[np.float64]:
    """Probabilities of a two-stream net for some lesions: (n k), k = 1 for a binary net."""
    return answers(module, samples, recipe).final


def answers(module: nn.Module, samples: Sequence[Sample], recipe: Recipe) -> Answers:
    """The same with what each branch says. Raises ValueError where there are no lesions."""
    if not samples:
        raise ValueError("probabilities of no lesions were asked for")
    device = next(module.parameters()).device
    module.eval()
    batches = []
    with torch.inference_mode():
        for start in range(0, len(samples), PREDICT_BATCH):
            frames, flow = prepare(samples[start : start + PREDICT_BATCH], recipe.normaliser, device)
            output: Output = module(frames, flow)
            by_part = map(probabilities, (output.final, output.spatial, output.temporal))
            batches.append((*by_part, output.branch_weight.to(CPU, torch.float64).numpy()))
    return Answers(*map(np.concatenate, zip(*batches, strict=True)))


def measure_statistics(module: nn.Module, samples: Sequence[Sample], recipe: Recipe) -> None:
    """Fill the BatchNorm statistics with the plain averages over one pass through `samples`, in place.

    This is how a site that never trained a net, or a new hospital, gets statistics of its own scanner.
    """
    layers = [layer for layer in module.modules() if isinstance(layer, nn.BatchNorm2d)]
    device = next(module.parameters()).device
    module.train()
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None  # the average over batches in place of the decaying one
    with torch.no_grad():
        for start in range(0, len(samples), PREDICT_BATCH):
            module(*prepare(samples[start : start + PREDICT_BATCH], recipe.normaliser, device))
    for layer in layers:
        layer.momentum = MOMENTUM
    module.eval()


def probabilities(logits: Tensor) -> npt.NDArray[np.float64]:
    """Logits (n 1) or (n k) → probabilities of the same shape in float64, on the CPU."""
    wide = logits.detach().to(CPU, torch.float64)
    return np.asarray((torch.sigmoid(wide) if wide.shape[1] == 1 else torch.softmax(wide, dim=1)).numpy())
