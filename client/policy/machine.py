"""How much of its machine a site gives to the worker: threads, graphics cards, a share of the memory.

`client.worker.tasks.device` applies it. Nothing here needs torch, so that a policy can be read without it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import psutil
from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

_CGROUP_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))


@dataclass(frozen=True, config=ConfigDict(extra="forbid", allow_inf_nan=False))
class Machine:
    """The part of the machine that training may use.

    Attributes:
        threads: Processor threads.
        gpus: Numbers as `nvidia-smi` lists them, of which the first is used; empty uses the processor.
        memory_share: Share of the memory of this machine or its container, and of the graphics card; None: no limit.
    """

    threads: Annotated[int, Field(strict=True, ge=1, le=1024)] = 1
    gpus: Annotated[tuple[Annotated[int, Field(strict=True, ge=0)], ...], Field(max_length=64)] = ()
    memory_share: Annotated[float, Field(strict=True, gt=0, le=1)] | None = None


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
