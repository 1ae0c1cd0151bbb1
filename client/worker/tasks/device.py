"""Where a worker's nets are, and how much of the machine its process takes: what `Machine` says, applied with torch."""

from __future__ import annotations

import os
import resource
from collections.abc import Callable

import torch

from ceus_models.nets.factory import CPU
from ceus_models.runtime.errors import ExpectedError
from client.policy.machine import Machine, read_memory_bytes
from client.worker.tasks.devices.compute_device import ComputeDevice
from client.worker.tasks.devices.micro_batches import BatchLimits
from client.worker.tasks.devices.resident_lesions import ResidentLesions

_SHARE_OF_IMAGES = 0.25
"""Of a card's memory; nets and their activations take the rest."""


def device_of(machine: Machine) -> torch.device:
    """Where nets are trained. Shows the worker no other card; call it before anything asks for one.

    Raises ExpectedError where the policy lists a card that is not there.
    """
    os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(map(str, machine.gpus))
    if not machine.gpus:
        return CPU
    if torch.cuda.device_count() < len(machine.gpus):
        raise ExpectedError(
            f"policy.yaml lists the graphics cards {', '.join(map(str, machine.gpus))}, and this process sees "
            f"{torch.cuda.device_count()} of them; correct machine.gpus (an empty list is the processor), or the driver"
        )
    return torch.device("cuda:0")


def open_device(device: torch.device, say: Callable[[str], None]) -> ComputeDevice:
    """The device of a worker, which tells the hospital's log what it learns of the memory."""
    limits = BatchLimits(say)
    if device.type == "cpu":
        return ComputeDevice(device, str(device), limits=limits)
    budget = _SHARE_OF_IMAGES * torch.cuda.get_device_properties(device).total_memory
    return ComputeDevice(device, str(device), ResidentLesions(device, say, budget), limits)


def bound(machine: Machine, device: torch.device = CPU) -> None:
    """Apply threads and memory share to this process; called again whenever the policy changes.

    The bound holds for data and heap (RLIMIT_DATA): samples are mapped from the cache and do not count. Beyond it an
    allocation fails, which the site answers as a refusal, so that the machine's other programs keep their memory.
    """
    torch.set_num_threads(machine.threads)
    share = machine.memory_share
    if device.type == "cuda":
        torch.cuda.set_per_process_memory_fraction(share or 1.0, device)
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    wanted = hard if share is None else int(share * read_memory_bytes())
    resource.setrlimit(resource.RLIMIT_DATA, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard))
