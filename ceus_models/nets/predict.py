"""Predict lesions with a net, batch by batch, and measure its BatchNorm statistics."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from ceus_models.nets.factory import CPU
from ceus_models.nets.image_stacks import Stack, stack_images
from ceus_models.nets.two_stream import Output, prepare_inputs
from ceus_models.protocol.messages import Recipe
from ceus_models.study.sample import Sample

PREDICT_BATCH = 16
BATCH_NORM_MOMENTUM = 0.1
"""torch's own for BatchNorm."""


class BranchPredictions(NamedTuple):
    """Predictions of a two-stream net for n lesions.

    Args:
        final: probabilities (n k) of the net, k = 1 for a binary net.
        spatial: probabilities (n k) of the spatial branch.
        temporal: probabilities (n k) of the temporal branch.
        spatial_weight: (n heads) weight of the spatial branch in the final probability of each head, 0-1.
    """

    final: npt.NDArray[np.float64]
    spatial: npt.NDArray[np.float64]
    temporal: npt.NDArray[np.float64]
    spatial_weight: npt.NDArray[np.float64]

    def select(self, columns: slice) -> BranchPredictions:
        """Those of some outputs, as `ceus_models.nets.heads.locate_output` finds them."""
        return BranchPredictions(*(part[:, columns] for part in self))


def predict_scores(
    module: nn.Module, samples: Sequence[Sample], recipe: Recipe, stack: Stack = stack_images
) -> npt.NDArray[np.float64]:
    """Probabilities (n k) of a two-stream net, k = 1 for a binary net. Raises ValueError as `predict_two_stream`."""
    return predict_two_stream(module, samples, recipe, stack).final


def predict_two_stream(
    module: nn.Module, samples: Sequence[Sample], recipe: Recipe, stack: Stack = stack_images
) -> BranchPredictions:
    """Predict some lesions with a two-stream net and both its branches. Raises ValueError where `samples` is empty."""
    if not samples:
        raise ValueError("expected at least one lesion, found none")
    device = next(module.parameters()).device
    module.eval()
    batches = []
    with torch.inference_mode():
        for output in _run_in_batches(samples, lambda some: _run(module, some, recipe, device, stack)):
            logits = (output.final, output.spatial, output.temporal)
            by_part = (compute_probabilities(part, output.independent) for part in logits)
            batches.append((*by_part, output.branch_weight.to(CPU, torch.float64).numpy()))
    return BranchPredictions(*map(np.concatenate, zip(*batches, strict=True)))


def measure_statistics(
    module: nn.Module, samples: Sequence[Sample], recipe: Recipe, stack: Stack = stack_images
) -> None:
    """Set the BatchNorm statistics to their averages over one pass through `samples`, in place.

    A site that never trained the net, or a new hospital, gets the statistics of its own scanners this way (AdaBN, Li
    et al. 2016).
    """
    layers = [layer for layer in module.modules() if isinstance(layer, nn.BatchNorm2d)]
    device = next(module.parameters()).device
    module.train()
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None  # the average over batches in place of the decaying one
    with torch.no_grad():
        for _ in _run_in_batches(samples, lambda some: _run(module, some, recipe, device, stack)):
            pass
    for layer in layers:
        layer.momentum = BATCH_NORM_MOMENTUM
    module.eval()


def _run(module: nn.Module, samples: Sequence[Sample], recipe: Recipe, device: torch.device, stack: Stack) -> Output:
    output: Output = module(*prepare_inputs(samples, recipe.normaliser, device, stack))
    return output


def _run_in_batches(samples: Sequence[Sample], run: Callable[[Sequence[Sample]], Output]) -> Iterator[Output]:
    """Run over the lesions in order; once a batch does not fit the device's memory, in halves of it."""
    start, size = 0, PREDICT_BATCH
    while start < len(samples):
        try:
            output = run(samples[start : start + size])
        except torch.OutOfMemoryError:
            if size == 1:
                raise
            size //= 2
            continue
        start += size
        yield output


def compute_probabilities(logits: Tensor, independent: bool = False) -> npt.NDArray[np.float64]:
    """Sigmoid of logits (n 1) or of independent ones (n k), softmax of those of classes (n k), as float64 on the CPU.

    >>> compute_probabilities(torch.tensor([[0.0], [2.0]])).round(3).tolist()
    [[0.5], [0.881]]
    """
    wide = logits.detach().to(CPU, torch.float64)
    return np.asarray(
        (torch.sigmoid(wide) if independent or wide.shape[1] == 1 else torch.softmax(wide, dim=1)).numpy()
    )
