"""How much memory a training step takes, worked out from shapes alone: no data, no memory, no card.

The nets run forwards on fake tensors of the device's kind, under its autocast, and what the backward pass would keep is
counted. LSTMs and heads are left out: they keep less than a hundredth of what the backbones keep.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from ceus_models.nets.recomputation import list_blocks
from ceus_models.nets.two_stream import Backbone
from ceus_models.protocol.messages import Architecture, LocalRule
from ceus_models.study.processing import Processing
from client.worker.tasks.devices.micro_batches import BatchLimit

WORKING_MAPS = 3
"""Largest maps that exist for a moment beside what is kept: a gradient, what it is made of, and a copy."""


@dataclass(frozen=True)
class LesionMemory:
    """Bytes of activations for one lesion.

    Args:
        kept: for the backward pass.
        recomputed: the same where blocks are computed again.
        working: that exist for a moment.
    """

    kept: int
    recomputed: int
    working: int

    def count(self, lesions: int, recomputed: bool = False) -> int:
        """Bytes of a step with so many lesions at once."""
        return lesions * ((self.recomputed if recomputed else self.kept) + self.working)


@functools.cache
def measure_lesion(
    architecture: Architecture, processing: Processing, device: torch.device, bfloat16: bool = False
) -> LesionMemory:
    """Activations of one lesion in a training step on a device of this type; the device need not be there."""
    counted = _Counter()
    branches = (
        (architecture.spatial_depth, 1, processing.frames, processing.size),
        (architecture.temporal_depth, 2, processing.flow_maps, processing.flow_size),
    )
    with FakeTensorMode(), _autocast(device.type, bfloat16):
        for depth, channels, images, side in branches:
            with torch.device(device.type):
                backbone = Backbone(depth, architecture.width, channels, architecture.norm)
                maps = torch.empty(images, channels, side, side)
            counted.run(backbone, maps)
    return LesionMemory(counted.kept, counted.recomputed, WORKING_MAPS * counted.largest)


class _Counter:
    """Counts what autograd keeps of a forward pass, each storage once."""

    def __init__(self) -> None:
        self.kept, self.largest = 0, 0
        self._blocks: list[tuple[int, int]] = []  # kept within a block, and its input
        self._outside = 0

    @property
    def recomputed(self) -> int:
        """Kept outside the blocks, their inputs, and the largest block while it is computed again."""
        inputs = sum(size for _, size in self._blocks)
        return self._outside + inputs + max((within for within, _ in self._blocks), default=0)

    def run(self, backbone: nn.Module, images: Tensor) -> None:
        """Add the activations of a backbone for some images."""
        seen = {parameter.untyped_storage()._cdata for parameter in backbone.parameters()}
        alive: list[Tensor] = []  # a freed storage's address may be taken again
        begun = self.kept

        def keep(tensor: Tensor) -> Tensor:
            storage = tensor.untyped_storage()
            if storage._cdata not in seen:
                seen.add(storage._cdata)
                alive.append(tensor)
                self.kept += storage.nbytes()
                self.largest = max(self.largest, storage.nbytes())
            return tensor

        def enter(block: nn.Module, inputs: tuple[Tensor, ...], at: list[int]) -> None:
            at[:] = [self.kept, inputs[0].nbytes]

        def leave(block: nn.Module, inputs: object, output: object, at: list[int]) -> None:
            self._blocks.append((self.kept - at[0], at[1]))

        for block in list_blocks(backbone):
            at: list[int] = []
            block.register_forward_pre_hook(partial(enter, at=at))
            block.register_forward_hook(partial(leave, at=at))
        first = len(self._blocks)
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            backbone(images)
        self._outside += self.kept - begun - sum(within for within, _ in self._blocks[first:])


@contextlib.contextmanager
def _autocast(kind: str, bfloat16: bool) -> Iterator[None]:
    """Autocast of a device that need not be there, which `torch.autocast` refuses."""
    before = torch.is_autocast_enabled(kind), torch.get_autocast_dtype(kind)
    torch.set_autocast_enabled(kind, bfloat16)
    torch.set_autocast_dtype(kind, torch.bfloat16)
    try:
        yield
    finally:
        torch.clear_autocast_cache()
        torch.set_autocast_enabled(kind, before[0])
        torch.set_autocast_dtype(kind, before[1])


@dataclass(frozen=True)
class RoundMemory:
    """Bytes that a device needs in the training rounds of a stage, but for lesions' images.

    Args:
        nets: parameters of all nets of a task, as sent.
        total: sum of the answers, in float64, and one answer.
        trained: the largest net in training: weights, gradients, optimiser and the start that FedProx pulls to.
        lesion: activations of one lesion.
        overhead: of the device itself.
    """

    nets: int
    total: int
    trained: int
    lesion: LesionMemory
    overhead: int

    def count(self, lesions: int, recomputed: bool = False) -> int:
        """All of it for a step with so many lesions at once."""
        return self.nets + self.total + self.trained + self.overhead + self.lesion.count(lesions, recomputed)

    def find_limit(self, batch: int, memory: float, can_recompute: bool) -> BatchLimit | None:
        """The largest part of a batch that fits, activations computed again where one lesion does not; or None."""
        size = batch
        while size > 1 and self.count(size) > memory:
            size = (size + 1) // 2
        if self.count(size) <= memory:
            return BatchLimit(None if size == batch else size)
        fits = can_recompute and self.count(1, recomputed=True) <= memory
        return BatchLimit(1, recomputed=True) if fits else None


def count_round(parameters: list[int], rule: LocalRule, lesion: LesionMemory, overhead: int) -> RoundMemory:
    """What a stage's rounds need. parameters: numbers of each net of the task."""
    copies = 2 + (2 if rule.optimizer == "adamw" else int(rule.momentum > 0)) + int(rule.proximal_mu > 0)
    whole = 4 * sum(parameters)
    return RoundMemory(whole, 3 * whole, 4 * copies * max(parameters), lesion, overhead)
