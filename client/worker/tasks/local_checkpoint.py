"""Training that a killed worker goes on with: every few minutes of a round's work are kept on the site's disk.

A round holds several nets and may take hours. Kept are the nets that are done and, of the one under way, its last whole
epoch with all that the next one depends on: so the answer is, to the last bit, that of a worker that nothing killed.
"""

from __future__ import annotations

import hashlib
import math
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn

from ceus_models.protocol.message_ids import ReceivedTask
from client.worker.tasks.memory_layout import UNDERWAY, short
from client.worker.tasks.site_memory import SiteMemory

NEVER = math.inf
_EPOCH, _TOTAL = "#epoch", "#total"


@dataclass
class LocalCheckpoint:
    """The training of one net of a task. path: its file · generators: whose draws the next epoch depends on."""

    memory: SiteMemory
    path: Path
    every_s: float
    generators: Sequence[torch.Generator] = ()
    _due: float = field(default=NEVER, repr=False)

    def __post_init__(self) -> None:
        """The clock begins."""
        self._due = time.monotonic() + self.every_s

    def load_finished(self) -> dict[str, Tensor] | None:
        """The sums of a net that was done before."""
        kept = self._load()
        return kept if kept and _EPOCH not in kept else None

    def finish(self, sums: Mapping[str, Tensor]) -> None:
        """Keep the sums, where they took long."""
        if time.monotonic() >= self._due or self._load():
            self._keep(sums)

    def resume(self, module: nn.Module, optimizer: torch.optim.Optimizer) -> tuple[int, Tensor | None]:
        """Fill what is trained with what was kept: the epochs that are done, and their losses."""
        kept = self._load()
        if not kept or _EPOCH not in kept:
            return 0, None
        module.load_state_dict(_under(kept, "module"))
        states: dict[int, dict[str, Tensor]] = {}
        for name, tensor in _under(kept, "optimizer").items():
            place, _, key = name.partition("|")
            states.setdefault(int(place), {})[key] = tensor
        optimizer.load_state_dict({**optimizer.state_dict(), "state": states})
        _lay_out(optimizer)
        for number, generator in enumerate(self.generators):
            generator.set_state(kept[f"generator|{number}"])
        device = next(module.parameters()).device
        return int(kept[_EPOCH]), kept[_TOTAL].to(device)

    def save_epoch(self, epoch: int, total: Tensor, module: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        """So many epochs are done: keep them, if the last time is long ago."""
        if time.monotonic() < self._due:
            return
        states = optimizer.state_dict()["state"]
        kept = {f"module|{name}": tensor for name, tensor in module.state_dict().items()}
        kept |= {f"optimizer|{n}|{key}": t for n, state in states.items() for key, t in state.items() if t is not None}
        kept |= {f"generator|{n}": generator.get_state() for n, generator in enumerate(self.generators)}
        self._keep({**kept, _EPOCH: torch.tensor(epoch), _TOTAL: total})
        self._due = time.monotonic() + self.every_s

    def _load(self) -> dict[str, Tensor] | None:
        return self.memory.read(self.path)

    def _keep(self, tensors: Mapping[str, Tensor]) -> None:
        self.memory.write(self.path, tensors)


@dataclass(frozen=True, eq=False)
class Checkpoints:
    """Where the work on a task is kept until the next one of its study. every_s: work that took so long is kept."""

    memory: SiteMemory
    received: ReceivedTask
    every_s: float

    def open(self, net: str, site: str, answered: Sequence[tuple[str, Sequence[int]]]) -> LocalCheckpoint | None:
        """The training of a net at a site; None where no work is kept. answered: keys of its lesions, and its answers.

        The file is of the task with all that it brings: the same round, asked with other weights, is another piece of
        work.
        """
        if self.every_s == NEVER:
            return None
        mark = hashlib.sha256(repr([site, *answered]).encode()).hexdigest()
        name = hashlib.sha256(f"{self.received.question}|{net}|{mark}".encode()).hexdigest()[:32]
        return LocalCheckpoint(self.memory, self._folder() / f"{name}.safetensors", self.every_s)

    def drop_others(self) -> None:
        """Whoever asks for this task has the answers to all others of its study, or wants them no more."""
        own = self._folder()
        for path in own.parent.glob("*"):
            if path != own:
                shutil.rmtree(path, ignore_errors=True)

    def _folder(self) -> Path:
        return self.memory.folder / UNDERWAY / short(self.received.task.study) / self.received.question[:16]


@torch.no_grad()
def _lay_out(optimizer: torch.optim.Optimizer) -> None:
    """Give each state the strides of its parameter (channels last), which torch's fused steps take for granted."""
    for parameter, state in optimizer.state.items():
        for key, value in state.items():
            if value.shape == parameter.shape:
                state[key] = torch.empty_like(parameter, dtype=value.dtype).copy_(value)


def _under(kept: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.partition("|")[2]: tensor for name, tensor in kept.items() if name.startswith(f"{prefix}|")}
