"""Images of lesions that stay on their device: each lesion is brought there once, one byte a pixel."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any
from weakref import WeakKeyDictionary

import numpy.typing as npt
import torch
from torch import Tensor

from ceus_models.study.sample import Sample


class ResidentLesions:
    """The images on one device, within a budget of memory; its `stack` stands in for `stack_images`.

    A lesion beyond the budget is brought through pinned memory at every use, with the same numbers. On a processor
    the images are the site's own mapped files, which cost nothing.
    """

    def __init__(self, device: torch.device, say: Callable[[str], None], budget_bytes: float = math.inf) -> None:
        """Hold nothing yet; `say` hears once that not all lesions fit."""
        self.device, self.budget_bytes = device, budget_bytes
        self.used_bytes = 0
        self._say = say
        self._full = False
        self._kept: WeakKeyDictionary[Sample, tuple[Tensor, Tensor]] = WeakKeyDictionary()

    def stack(self, samples: Sequence[Sample], device: torch.device) -> tuple[Tensor, Tensor]:
        """Frames (b t h w) uint8 and flow (b n 2 h w) int8 of lesions. Raises ValueError for another device."""
        if device != self.device:
            raise ValueError(f"expected images for {self.device}, which holds them, found {device}; use its own stack")
        images = [self._kept.get(sample) or self._bring(sample) for sample in samples]
        return torch.stack([frames for frames, _ in images]), torch.stack([flow for _, flow in images])

    def forget(self, samples: Iterable[Sample]) -> None:
        """Free the images of lesions whose site has moved to another device."""
        for sample in samples:
            if self._kept.pop(sample, None) is not None:
                self.used_bytes -= count_image_bytes(sample)

    def _bring(self, sample: Sample) -> tuple[Tensor, Tensor]:
        images = self._transfer(sample.frames), self._transfer(sample.flow)
        if self.device.type == "cpu" or self.used_bytes + count_image_bytes(sample) <= self.budget_bytes:
            self._kept[sample] = images
            self.used_bytes += count_image_bytes(sample)
        elif not self._full:
            self._full = True
            self._say(
                f"{self.device}: {len(self._kept)} lesions fill the {self.budget_bytes / 1e9:.1f} GB that are left for "
                "images; the others are brought from the processor's memory for every batch, which is slower"
            )
        return images

    def _transfer(self, array: npt.NDArray[Any]) -> Tensor:
        held = torch.from_numpy(array if array.flags.writeable else array.copy())
        return (held.pin_memory() if self.device.type == "cuda" else held).to(self.device, non_blocking=True)


def count_image_bytes(sample: Sample) -> int:
    """Bytes of a lesion's images."""
    return int(sample.frames.nbytes + sample.flow.nbytes)
