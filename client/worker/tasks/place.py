"""Where a task is worked on, and what a site holds back."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch

from client.worker.tasks.devices.compute_device import ComputeDevice
from client.worker.tasks.local_checkpoint import Checkpoints
from client.worker.tasks.site_memory import SiteMemory


@dataclass(frozen=True)
class Place:
    """Where work is done: the site's name, its memory, its device, and the fewest lesions it speaks of.

    minimum: lesions of a cohort or net · cell: lesions of one kind within it · checkpoints: of the task under way, None
    where nothing of it is kept.
    """

    site: str
    memory: SiteMemory
    compute: ComputeDevice = field(default_factory=ComputeDevice)
    minimum: int = 1
    cell: int = 1
    checkpoints: Checkpoints | None = None

    @property
    def device(self) -> torch.device:
        """The device of the nets."""
        return self.compute.device
