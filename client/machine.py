"""How much of its machine a site gives to the worker: threads, graphics cards, a share of the memory."""

from __future__ import annotations

import os
import resource
from pathlib import Path
from typing import Annotated

import psutil
import torch
from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from ceus_models.failures import ExpectedError

_PROCESSOR = torch.device("cpu")
_CGROUP_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))


@dataclass(frozen=True, config=ConfigDict(extra="forbid", allow_inf_nan=False))
class Machine:
    """threads: of the processor · gpus: numbers as `nvidia-smi` lists them, the first one works; none: the processor.

    memory_share: of the memory that this machine, or its container, has; with a graphics card, of that card's memory
    as well. None: no bound but the machine's own.
    """

    threads: Annotated[int, Field(strict=True, ge=1, le=1024)] = 1
    gpus: Annotated[tuple[Annotated[int, Field(strict=True, ge=0)], ...], Field(max_length=64)] = ()
    memory_share: Annotated[float, Field(strict=True, gt=0, le=1)] | None = None


def device_of(machine: Machine) -> torch.device:
    """Where nets are trained. Shows the worker no other card; call it before anything asks for one.

    Raises ExpectedError where the policy lists a card that is not there.
    """
    os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(map(str, machine.gpus))
    if not machine.gpus:
        return _PROCESSOR
    if torch.cuda.device_count() < len(machine.gpus):
        raise ExpectedError(
            f"policy.yaml lists the graphics cards {', '.join(map(str, machine.gpus))}, and this process sees "
            f"{torch.cuda.device_count()} of them; correct machine.gpus (an empty list is the processor), or the driver"
        )
    return torch.device("cuda:0")


def bound(machine: Machine, device: torch.device = _PROCESSOR) -> None:
    """Apply threads and memory share to this process; called again whenever the policy changes.

    The bound holds for data and heap (RLIMIT_DATA): samples are mapped from the cache and do not count. Beyond it an
    allocation fails, which the site answers as a refusal, so that the machine's other programs keep their memory.
    """
    torch.set_num_threads(machine.threads)
    share = machine.memory_share
    if device.type == "cuda":
        torch.cuda.set_per_process_memory_fraction(share or 1.0, device)
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    wanted = hard if share is None else int(share * memory_bytes())
    resource.setrlimit(resource.RLIMIT_DATA, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard))


def memory_bytes() -> int:
    """The memory of the machine, or of the container where that is less."""
    return min([psutil.virtual_memory().total, *_cgroup_bytes()])


def _cgroup_bytes() -> list[int]:
    limits = []
    for path in _CGROUP_LIMITS:
        try:
            text = path.read_text(encoding="ascii").strip()
        except OSError:
            continue
        limits += [int(text)] if text.isdecimal() else []
    return limits
