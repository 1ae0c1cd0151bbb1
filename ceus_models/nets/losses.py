"""Losses as sums over lesions, so that a federated mean is the pooled mean.

A batch's loss is divided by its number of lesions, never by the sum of their class weights: with weights from
global counts, Σ over sites of (lesions · mean gradient) is then exactly the pooled gradient.
"""

from __future__ import annotations

import torch
import torch.nn.functional as nnf
from torch import Tensor

from ceus_models.nets.two_stream import Output
from ceus_models.protocol.messages import Recipe


def class_weights(net: str, classes: int, recipe: Recipe, device: torch.device) -> Tensor:
    """(classes) weights of a net's classes from the global counts; ones where the recipe names none.

    Raises ValueError when the recipe holds another number of weights.
    """
    weights = recipe.class_weights.get(net, (1.0,) * classes)
    if len(weights) != classes:
        raise ValueError(f"{net} has {classes} classes, but the recipe weighs {len(weights)}")
    return torch.tensor(weights, dtype=torch.float32, device=device)


def classification(logits: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy of each lesion: logits (b 1) of a binary net or (b k), targets (b) int64 → (b)."""
    if logits.shape[1] == 1:
        return nnf.binary_cross_entropy_with_logits(logits[:, 0], targets.to(logits.dtype), reduction="none")
    return nnf.cross_entropy(logits, targets, reduction="none")


def lesion_losses(
    output: Output | Tensor, targets: Tensor, weights: Tensor, parts: tuple[float, float, float]
) -> Tensor:
    """(b) loss of each lesion: its class's weight · the weighted sum of spatial, temporal and final losses.

    output: of a TwoStream, or the logits (b k) of a fusion net · targets (b) · weights (classes) · parts: shares
    of the three losses, of which a fusion net has only the final one.
    """
    if isinstance(output, Tensor):
        return weights[targets] * classification(output.float(), targets)
    heads = (output.spatial, output.temporal, output.final)
    terms = [part * classification(head.float(), targets) for part, head in zip(parts, heads, strict=True)]
    return weights[targets] * torch.stack(terms).sum(dim=0)


def mean_loss(losses: Tensor) -> Tensor:
    """What is minimised: the mean over the lesions of the batch."""
    return losses.sum() / len(losses)
