"""The points of learning curves that a round adds: of each net, and of each head of a trunk."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from statistics import fmean
from typing import Literal

import torch
from torch import Tensor

from ceus_models.metrics.binned_loss import sum_log_loss
from ceus_models.nets.factory import CPU
from ceus_models.nets.heads import list_outputs
from ceus_models.nets.losses import build_class_weights
from ceus_models.plan.progress import CurvePoint
from ceus_models.protocol.messages import Recipe
from ceus_models.study.taxonomy import count_outputs

Losses = Mapping[str, tuple[float, float]]
"""Output → Σ weight · loss and Σ weight, of those with a lesion."""


def sum_training_losses(total: Mapping[str, Tensor], net: str) -> Losses:
    """The losses of a net's heads from the total of a training round."""
    losses = total[f"{net}|#loss"].reshape(-1).tolist()
    lesions = total.get(f"{net}|#labelled", total[f"{net}|#weight"]).reshape(-1).tolist()
    found = zip(list_outputs(net), losses, lesions, strict=True)
    return {output: (loss, float(count)) for output, loss, count in found if count > 0}


def sum_validation_losses(total: Mapping[str, Tensor], net: str, recipe: Recipe) -> Losses:
    """The same from the histograms of scores of an evaluation, class-weighted, over all its cohorts."""
    found: dict[str, tuple[float, float]] = {}
    for output in list_outputs(net):
        scores = [t.double() for name, t in total.items() if name.split("|")[1:] == [output, "scores"]]
        weights = build_class_weights(output, max(2, count_outputs(output)), recipe, CPU).tolist()
        loss, weight = sum_log_loss(torch.stack(scores).sum(0).numpy(), weights) if scores else (0.0, 0.0)
        if weight > 0:
            found[output] = loss, weight
    return found


def list_points(
    place: tuple[str, int], net: str, curve: Literal["training", "validation"], losses: Losses
) -> Iterator[CurvePoint]:
    """The point of each head, and last that of the net: the mean over its heads, which chooses the best round.

    Args:
        place: stage and round.
        net: of the point.
        curve: of the point.
        losses: of the net's heads; nothing without any.
    """
    points = [CurvePoint(*place, output, curve, loss / weight, weight) for output, (loss, weight) in losses.items()]
    yield from points
    if points and points[-1].net != net:
        mean, most = fmean(point.loss for point in points), max(point.weight for point in points)
        yield CurvePoint(*place, net, curve, mean, most)
