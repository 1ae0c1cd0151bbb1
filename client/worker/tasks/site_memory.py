"""What a site remembers between tasks, on disk: answers of the frozen sub-models, its own BatchNorm state, and how far
the training under way is.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from ceus_models.nets.factory import CPU
from ceus_models.protocol.message_ids import asked_id
from ceus_models.protocol.messages import Task
from ceus_models.protocol.state import State
from ceus_models.runtime.atomic_files import whole_file
from client.worker.tasks.memory_layout import FROZEN, LOCAL, UNDERWAY, short

KEPT_ROUNDS = 2
"""The round before the newest stays, so that a round that is asked again starts where it started before."""


@dataclass(frozen=True, eq=False)
class SiteMemory:
    """A folder of small safetensors files. A file that cannot be read counts as absent."""

    folder: Path
    _seen: dict[Path, tuple[tuple[int, ...], dict[str, Tensor]]] = field(default_factory=dict, repr=False)

    def table(self, key: str) -> dict[str, Tensor]:
        """Rows kept under a key, by lesion; empty when there are none. A file is read again only if it is another."""
        path = self.folder / FROZEN / f"{key}.safetensors"
        try:
            found = path.stat()
        except OSError:
            return {}
        stamp = (found.st_ino, found.st_mtime_ns, found.st_size)
        if path not in self._seen or self._seen[path][0] != stamp:
            self._seen.clear()  # fusion stages stand on one set of sub-models at a time
            self._seen[path] = stamp, _read(path) or {}
        return self._seen[path][1]

    def keep_table(self, key: str, rows: Mapping[str, Tensor]) -> None:
        """Replace the rows of a key."""
        _write(self.folder / FROZEN / f"{key}.safetensors", rows)

    def local_state(self, task: Task, net: str) -> dict[str, Tensor] | None:
        """A net's own BatchNorm state: for training of an earlier round of the stage, else up to this round.

        A stage that never trained the net (the final evaluation) gets the newest state of the study.
        """
        rounds = self._rounds(task, net)
        same = {r: path for (stage, r), path in rounds.items() if stage == short(task.stage)}
        last = task.round - 1 if task.kind == "train" else task.round
        if task.kind == "train" or same:
            choice = max((r for r in same if r <= last), default=None)
            return None if choice is None else _read(same[choice])
        return _read(rounds[max(rounds, key=lambda key: key[1])]) if rounds else None

    def keep_local_state(self, task: Task, net: str, state: State) -> None:
        """Save a net's BatchNorm state as that of the task's round, and forget what no repeated round can need."""
        stage = short(task.stage)
        _write(self._local(task, net) / f"{stage}-{task.round:06d}.safetensors", state)
        rounds = sorted(r for s, r in self._rounds(task, net) if s == stage)
        done = [r for r in rounds if r <= task.round]
        # later rounds are of a run that was since resumed from before them
        for old in [*done[:-KEPT_ROUNDS], *(r for r in rounds if r > task.round)]:
            (self._local(task, net) / f"{stage}-{old:06d}.safetensors").unlink(missing_ok=True)

    def underway(self, task: Task) -> Path:
        """Where the work on a task is kept until another one comes (`client.worker.tasks.local_checkpoint`)."""
        return self.folder / UNDERWAY / short(task.study) / asked_id(task)[:16]

    def drop_others(self, task: Task) -> None:
        """Whoever asks for this task has the answers to all others, or wants them no more."""
        if (self.folder / UNDERWAY).exists():
            for path in (self.folder / UNDERWAY).glob("*/*"):
                if path != self.underway(task):
                    shutil.rmtree(path, ignore_errors=True)

    def read(self, path: Path) -> dict[str, Tensor] | None:
        """The tensors of a file in this memory; None if it cannot be read."""
        return _read(path)

    def write(self, path: Path, tensors: Mapping[str, Tensor]) -> None:
        """Write or replace a file in this memory. Raises OSError."""
        _write(path, tensors)

    def _local(self, task: Task, net: str) -> Path:
        return self.folder / LOCAL / f"{short(task.study)}-{task.seed}" / net.replace("/", "_")

    def _rounds(self, task: Task, net: str) -> dict[tuple[str, int], Path]:
        found = {}
        for path in self._local(task, net).glob("*-*.safetensors"):
            stage, number = path.stem.rsplit("-", 1)
            found[stage, int(number)] = path
        return found


@dataclass(frozen=True)
class Place:
    """Where work is done: the site's name, its memory, its device, and the fewest lesions it speaks of.

    minimum: lesions of a cohort or net · cell: lesions of one kind within it · keep_after_s: work that took so long is
    kept, so that a worker that is killed goes on with it.
    """

    site: str
    memory: SiteMemory
    device: torch.device = CPU
    minimum: int = 1
    cell: int = 1
    keep_after_s: float = math.inf


def _read(path: Path) -> dict[str, Tensor] | None:
    try:
        tensors: dict[str, Tensor] = load_file(path)
    except (OSError, SafetensorError):
        return None
    return tensors


def _write(path: Path, tensors: State) -> None:
    with whole_file(path, lasting=False) as draft:
        save_file({key: t.detach().cpu().contiguous() for key, t in tensors.items()}, draft)
