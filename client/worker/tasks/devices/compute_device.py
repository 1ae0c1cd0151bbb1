"""A device on which nets are trained and asked, with what it holds and what it has learnt of its memory."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import nn

from ceus_models.nets.factory import CPU
from ceus_models.nets.image_stacks import Stack, stack_images
from ceus_models.nets.two_stream import Backbone
from client.worker.tasks.devices.micro_batches import BatchLimits
from client.worker.tasks.devices.resident_lesions import ResidentLesions


class DeviceError(RuntimeError):
    """The device failed, or has too little memory for one lesion: not a fault of the site's data."""


@dataclass(eq=False)
class ComputeDevice:
    """Where work is done. One thread works on it at a time.

    Args:
        device: of the nets.
        name: for people, as cuda:0.
        lesions: whose images stay there; None: they are brought for every batch.
        limits: of batches, learnt from errors for want of memory.
        compiled: whether the backbones run through `torch.compile`, whose numbers differ by rounding.
        keeps_answers: whether changes of nets stay on the device, for a link that adds them there.
    """

    device: torch.device = CPU
    name: str = "cpu"
    lesions: ResidentLesions | None = None
    limits: BatchLimits = field(default_factory=BatchLimits)
    compiled: bool = False
    keeps_answers: bool = False

    @property
    def stack(self) -> Stack:
        """Brings lesions' images to the device."""
        return self.lesions.stack if self.lesions else stack_images

    @property
    def answers(self) -> torch.device:
        """Where changes of nets are left."""
        return self.device if self.keeps_answers else CPU

    def prepare(self, module: nn.Module) -> None:
        """Let the backbones of a net be compiled at their first use, where that is wanted."""
        for layer in module.modules() if self.compiled else ():
            if isinstance(layer, Backbone) and layer._compiled_call_impl is None:
                layer.compile(dynamic=True)

    def responds(self) -> bool:
        """Whether the device still computes."""
        try:
            return float(torch.ones(8, device=self.device).sum()) == 8.0
        except RuntimeError:
            return False
