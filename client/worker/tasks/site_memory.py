"""What a site remembers between tasks, on disk: answers of the frozen sub-models, BatchNorm states, and residues."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from ceus_models.protocol.messages import Task
from ceus_models.protocol.state import State
from ceus_models.runtime.atomic_files import replace_file
from client.worker.tasks.memory_layout import FROZEN, LOCAL, RESIDUES, short

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

    def local_states(self, task: Task) -> LocalStates:
        """The BatchNorm states of the task's study, as seen from its round."""
        folder = self.folder / LOCAL / f"{short(task.study)}-{task.seed}"
        return LocalStates(folder, short(task.stage), task.round, task.kind == "train")

    def residues(self, task: Task) -> LocalStates:
        """What rounding left of this site's changes in the task's stage, as seen from its round."""
        return LocalStates(self._residue_folder(task), short(task.stage), task.round, True)

    def forget_residues(self, task: Task) -> None:
        """Delete the residues of other stages than the task's: these are over."""
        for path in self._residue_folder(task).glob("*/*.safetensors"):
            if path.stem.rsplit("-", 1)[0] != short(task.stage):
                path.unlink(missing_ok=True)

    def _residue_folder(self, task: Task) -> Path:
        return self.folder / RESIDUES / f"{short(task.study)}-{task.seed}"

    def read(self, path: Path) -> dict[str, Tensor] | None:
        """The tensors of a file in this memory; None if it cannot be read."""
        return _read(path)

    def write(self, path: Path, tensors: Mapping[str, Tensor]) -> None:
        """Write or replace a file in this memory. Raises OSError."""
        _write(path, tensors)


@dataclass(frozen=True)
class LocalStates:
    """The site's own tensors of the nets of one study, such as BatchNorm states, seen from a round.

    folder: of the study · stage: as a part of a file's name · training: whether the round trains.
    """

    folder: Path
    stage: str
    round: int
    training: bool

    def read(self, net: str) -> dict[str, Tensor] | None:
        """A net's own state: for training of an earlier round of the stage, else up to this round.

        A stage that never trained the net (the final evaluation) gets the newest state of the study.
        """
        rounds = self._rounds(net)
        same = {r: path for (stage, r), path in rounds.items() if stage == self.stage}
        last = self.round - 1 if self.training else self.round
        if self.training or same:
            choice = max((r for r in same if r <= last), default=None)
            return None if choice is None else _read(same[choice])
        return _read(rounds[max(rounds, key=lambda key: key[1])]) if rounds else None

    def keep(self, net: str, state: State) -> None:
        """Save a net's state as that of the round, and forget what no repeated round can need."""
        _write(self._path(net, self.round), state)
        rounds = sorted(r for stage, r in self._rounds(net) if stage == self.stage)
        done = [r for r in rounds if r <= self.round]
        # later rounds are of a run that was since resumed from before them
        for old in [*done[:-KEPT_ROUNDS], *(r for r in rounds if r > self.round)]:
            self._path(net, old).unlink(missing_ok=True)

    def _path(self, net: str, number: int) -> Path:
        return self.folder / net.replace("/", "_") / f"{self.stage}-{number:06d}.safetensors"

    def _rounds(self, net: str) -> dict[tuple[str, int], Path]:
        found = {}
        for path in (self.folder / net.replace("/", "_")).glob("*-*.safetensors"):
            stage, number = path.stem.rsplit("-", 1)
            found[stage, int(number)] = path
        return found


def _read(path: Path) -> dict[str, Tensor] | None:
    try:
        tensors: dict[str, Tensor] = load_file(path)
    except (OSError, SafetensorError):
        return None
    return tensors


def _write(path: Path, tensors: State) -> None:
    with replace_file(path, lasting=False) as draft:
        save_file({key: t.detach().cpu().contiguous() for key, t in tensors.items()}, draft)
