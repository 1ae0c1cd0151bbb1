"""Weighted cross-entropy, normalised so that the federated gradient equals the pooled one.

A batch's loss is divided by its number of lesions, never by the sum of their class weights: with class weights from
global counts, Σ over sites of (lesions · mean gradient) is then exactly the pooled gradient. For the same reason the
losses of a trunk's heads are added: a lesion without a result for a head adds nothing there, and the sum is divided by
all lesions of the batch, never by those with a result.
"""

from __future__ import annotations

import torch
import torch.nn.functional as nnf
from torch import Tensor

from ceus_models.nets.heads import list_outputs
from ceus_models.nets.two_stream import Output
from ceus_models.protocol.messages import Recipe
from ceus_models.study.taxonomy import count_outputs

NO_RESULT = -1
"""The target of a lesion that has no result for a head."""


def build_class_weights(net: str, classes: int, recipe: Recipe, device: torch.device) -> Tensor:
    """Weights (classes) of a net's classes from the global counts; ones where the recipe has none.

    Raises:
        ValueError: the recipe has another number of weights.
    """
    weights = recipe.class_weights.get(net, (1.0,) * classes)
    if len(weights) != classes:
        raise ValueError(f"expected {classes} class weights for {net}, the recipe has {len(weights)}")
    return torch.tensor(weights, dtype=torch.float32, device=device)


def build_head_weights(net: str, recipe: Recipe, device: torch.device) -> Tensor:
    """Weights (heads classes) of the classes of each head of a net. Raises ValueError as `build_class_weights`."""
    heads = list_outputs(net)
    return torch.stack([build_class_weights(name, max(2, count_outputs(name)), recipe, device) for name in heads])


def compute_cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy (b) of each lesion from logits (b 1) of a binary net or (b k), and targets (b) int64.

    >>> compute_cross_entropy(torch.zeros(2, 4), torch.tensor([0, 3]))
    tensor([1.3863, 1.3863])
    """
    if logits.shape[1] == 1:
        return nnf.binary_cross_entropy_with_logits(logits[:, 0], targets.to(logits.dtype), reduction="none")
    return nnf.cross_entropy(logits, targets, reduction="none")


def compute_lesion_losses(
    output: Output | Tensor, targets: Tensor, weights: Tensor, parts: tuple[float, float, float]
) -> Tensor:
    """Loss (b) of each lesion: its class weight times the weighted sum of the three heads' losses.

    Args:
        output: of a TwoStream, or the logits (b k) of a fusion net, which has only the final head.
        targets: (b) int64.
        weights: of the classes (classes).
        parts: weights of the spatial, temporal and final loss.
    """
    if isinstance(output, Tensor):
        return weights[targets] * compute_cross_entropy(output.float(), targets)
    heads = (output.spatial, output.temporal, output.final)
    terms = [part * compute_cross_entropy(head.float(), targets) for part, head in zip(parts, heads, strict=True)]
    return weights[targets] * torch.stack(terms).sum(dim=0)


def compute_head_losses(
    output: Output | Tensor, targets: Tensor, weights: Tensor, parts: tuple[float, float, float]
) -> Tensor:
    """Loss (b heads) of each lesion in each head, 0 where it has no result.

    Args:
        output: as in `compute_lesion_losses`.
        targets: (b heads) int64, NO_RESULT where the lesion has none.
        weights: of the classes (heads classes).
        parts: weights of the spatial, temporal and final loss.
    """
    if targets.shape[1] == 1 or isinstance(output, Tensor):
        return compute_lesion_losses(output, targets[:, 0], weights[0], parts).unsqueeze(1)
    known = targets != NO_RESULT
    classes = targets.clamp(min=0)
    scores = (output.spatial, output.temporal, output.final)
    terms = [
        part * nnf.binary_cross_entropy_with_logits(score.float(), classes.float(), reduction="none")
        for part, score in zip(parts, scores, strict=True)
    ]
    by_class = weights[torch.arange(len(weights), device=weights.device), classes]  # (b heads)
    return torch.where(known, by_class * torch.stack(terms).sum(dim=0), 0.0)


def compute_mean_loss(losses: Tensor) -> Tensor:
    """The mean loss of the batch, which training minimises."""
    return losses.sum() / len(losses)
