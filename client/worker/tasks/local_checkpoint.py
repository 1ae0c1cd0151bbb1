"""Training that a killed worker goes on with: every few minutes of a round's work are kept on the site's disk.

A round holds several nets and may take hours. Kept are the nets that are done and, of the one under way, its last whole
epoch with all that the next one depends on: so the answer is, to the last bit, that of a worker that nothing killed.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from ceus_models.protocol.encoding import content_id
from ceus_models.protocol.messages import Task
from ceus_models.study.sample import Sample
from client.worker.tasks.site_memory import Place, SiteMemory

NEVER = math.inf
_EPOCH, _TOTAL = "#epoch", "#total"


@dataclass
class Underway:
    """The training of one net of a task. generators: whose draws the next epoch depends on."""

    memory: SiteMemory
    task: Task
    net: str
    mark: str
    every_s: float
    generators: Sequence[torch.Generator] = ()
    _due: float = field(default=NEVER, repr=False)

    def __post_init__(self) -> None:
        """The clock begins."""
        self._due = time.monotonic() + self.every_s

    def finished(self) -> dict[str, Tensor] | None:
        """The sums of a net that was done before."""
        kept = self._kept()
        return kept if kept and _EPOCH not in kept else None

    def finish(self, sums: Mapping[str, Tensor]) -> None:
        """Keep the sums, where they took long."""
        if time.monotonic() >= self._due or self._kept():
            self._keep(sums)

    def resume(self, module: nn.Module, optimizer: torch.optim.Optimizer) -> tuple[int, Tensor | None]:
        """Fill what is trained with what was kept: the epochs that are done, and their losses."""
        kept = self._kept()
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

    def reached(self, epoch: int, total: Tensor, module: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        """So many epochs are done: keep them, if the last time is long ago."""
        if time.monotonic() < self._due:
            return
        states = optimizer.state_dict()["state"]
        kept = {f"module|{name}": tensor for name, tensor in module.state_dict().items()}
        kept |= {f"optimizer|{n}|{key}": t for n, state in states.items() for key, t in state.items() if t is not None}
        kept |= {f"generator|{n}": generator.get_state() for n, generator in enumerate(self.generators)}
        self._keep({**kept, _EPOCH: torch.tensor(epoch), _TOTAL: total})
        self._due = time.monotonic() + self.every_s

    def _kept(self) -> dict[str, Tensor] | None:
        folder = self.memory.underway(self.task)
        return self.memory.read(folder / self._name()) if folder.exists() else None

    def _keep(self, tensors: Mapping[str, Tensor]) -> None:
        self.memory.write(self.memory.underway(self.task) / self._name(), tensors)

    def _name(self) -> str:
        """Of the task with all that it brings: the same round, asked with other weights, is another piece of work."""
        whole = f"{content_id(self.task)[0]}|{self.net}|{self.mark}"
        return hashlib.sha256(whole.encode()).hexdigest()[:32] + ".safetensors"


def underway_of(net: str, task: Task, cases: Sequence[Sample], answers: Sequence[int], place: Place) -> Underway:
    """Of these lesions with these answers, at this place."""
    mark = hashlib.sha256(repr([place.site, *((s.key, a) for s, a in zip(cases, answers, strict=True))]).encode())
    return Underway(place.memory, task, net, mark.hexdigest(), place.keep_after_s)


@torch.no_grad()
def _lay_out(optimizer: torch.optim.Optimizer) -> None:
    """Give each state the strides of its parameter (channels last), which torch's fused steps take for granted."""
    for parameter, state in optimizer.state.items():
        for key, value in state.items():
            if value.shape == parameter.shape:
                state[key] = torch.empty_like(parameter, dtype=value.dtype).copy_(value)


def _under(kept: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.partition("|")[2]: tensor for name, tensor in kept.items() if name.startswith(f"{prefix}|")}
