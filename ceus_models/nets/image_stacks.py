"""Images of several lesions as two tensors on a device, before they become a net's inputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from ceus_models.study.sample import Sample

Stack = Callable[[Sequence[Sample], torch.device], tuple[Tensor, Tensor]]
"""Lesions (b) and a device → frames (b t h w) uint8 and flow (b n 2 h w) int8 on it."""


def stack_images(samples: Sequence[Sample], device: torch.device) -> tuple[Tensor, Tensor]:
    """Frames (b t h w) uint8 and flow (b n 2 h w) int8 of lesions, brought to the device anew."""
    frames = torch.from_numpy(np.stack([sample.frames for sample in samples])).to(device)
    return frames, torch.from_numpy(np.stack([sample.flow for sample in samples])).to(device)
