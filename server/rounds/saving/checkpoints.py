"""Checkpoints of a study: one file per round, written atomically; the last two are kept."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from ceus_models.plan.progress import Progress
from ceus_models.protocol.state import State, digest
from ceus_models.runtime.atomic_files import PUBLIC, remove_drafts, replace_file
from ceus_models.runtime.errors import DiskFullError, ExpectedError, is_disk_full
from server.rounds.saving.checkpoint_header import HEADER, VERSION, Header, checkpoint_files, number_of, read_header

KEPT = 2
_SECTIONS = ("nets", "memory", "totals")
_SEPARATOR = "::"
"""Does not occur in names of stages, nets or parameters."""


class _DamagedError(Exception):
    """The file differs from what was written."""


@dataclass(frozen=True)
class Store:
    """Checkpoints of one study in `folder`: safetensors files with the rest of the progress as metadata, and a checksum
    over both.
    """

    folder: Path

    def save(self, progress: Progress, plan: str, seed: int) -> None:
        """Write the next file atomically, then delete those before the last two. plan: the plan's digest.

        Raises:
            ExpectedError: if the disk is full or read-only; earlier checkpoints are kept.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        files = checkpoint_files(self.folder)
        number = number_of(files[-1]) + 1 if files else 1
        path = self.folder / f"progress-{number:08d}.safetensors"
        try:
            remove_drafts(self.folder)
            with replace_file(path, PUBLIC) as draft:
                _write(draft, progress, plan, seed)
        except (OSError, SafetensorError) as error:
            cause = getattr(error, "strerror", None) or error
            kind = DiskFullError if is_disk_full(error) else ExpectedError
            raise kind(
                f"the checkpoint cannot be written to {self.folder} ({cause}): make room and start the same command "
                "again; it continues from the last saved round"
            ) from None
        for old in checkpoint_files(self.folder)[:-KEPT]:
            old.unlink()

    def latest(self, plan: str, seed: int) -> Progress | None:
        """Load the newest undamaged progress; None without a checkpoint.

        Raises:
            ExpectedError: if the folder belongs to another plan or seed, or all its files are damaged.
        """
        files = checkpoint_files(self.folder)
        for path in reversed(files):
            try:
                header, tensors = _read(path)
            except _DamagedError:
                continue
            self._check_same_study(header, plan, seed)
            return _progress(header, tensors)
        if files:
            raise ExpectedError(f"{self.folder}: every checkpoint is damaged; delete the folder to start again")
        return None

    def totals(self, plan: str, seed: int) -> Progress | None:
        """Load the newest progress with its totals but without its nets, so without checking the checksum.

        Another process may write at the same time. Raises ExpectedError for another plan or seed, as `latest`.
        """
        for path in reversed(checkpoint_files(self.folder)):
            try:
                with safe_open(path, framework="pt") as file:
                    header = read_header(path, file.metadata() or {})
                    names = tuple(name for name in header.names if name.startswith(f"totals{_SEPARATOR}"))
                    tensors = {name: file.get_tensor(name) for name in names}
            except (SafetensorError, OSError):
                continue
            self._check_same_study(header, plan, seed)
            return _progress(replace(header, names=names), tensors)
        return None

    def saved_at(self) -> float:
        """When the newest checkpoint was written, in seconds since 1970; 0 where there is none."""
        for path in reversed(checkpoint_files(self.folder)):
            with suppress(OSError):  # it may just be deleted
                return path.stat().st_mtime
        return 0.0

    def newest(self) -> int:
        """The number of the newest checkpoint, 0 where there is none."""
        return max(map(number_of, checkpoint_files(self.folder)), default=0)

    def _check_same_study(self, header: Header, plan: str, seed: int) -> None:
        if header.plan != plan:
            raise ExpectedError(
                f"{self.folder} must hold a study of this plan ({plan[:12]}…), but holds one of another plan "
                f"({header.plan[:12]}…); give that plan, or another folder"
            )
        if header.seed != seed:
            raise ExpectedError(
                f"{self.folder} must hold a study with seed {seed}, found seed {header.seed}; give that seed, or "
                "another folder"
            )


def _write(path: Path, progress: Progress, plan: str, seed: int) -> None:
    # a tensor may be both a net and the best net; safetensors wants separate storage
    tensors = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in _flatten(progress).items()}
    header = Header(
        plan=plan,
        seed=seed,
        stage=progress.stage,
        step=progress.step,
        recipe=progress.recipe,
        frozen=progress.frozen,
        counts=progress.counts,
        patients=progress.patients,
        participation=progress.participation,
        curves=progress.curves,
        names=tuple(tensors),
        keys=progress.keys,
    )
    text = HEADER.dump_json(header).decode()
    save_file(tensors, path, {"fedceus": VERSION, "progress": text, "checksum": _checksum(text, tensors)})


def _read(path: Path) -> tuple[Header, State]:
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    except (SafetensorError, OSError) as error:
        raise _DamagedError(str(error)) from None
    if metadata.get("checksum") != _checksum(metadata.get("progress", ""), tensors):
        raise _DamagedError("the checksum does not match")
    return read_header(path, metadata), tensors


def _flatten(progress: Progress) -> State:
    return {
        _SEPARATOR.join((section, key, name)): tensor
        for section in _SECTIONS
        for key, state in getattr(progress, section).items()
        for name, tensor in state.items()
    }


def _progress(header: Header, tensors: State) -> Progress:
    sections: dict[str, dict[str, dict[str, object]]] = {section: {} for section in _SECTIONS}
    for place in header.names:
        section, key, name = place.split(_SEPARATOR)
        sections[section].setdefault(key, {})[name] = tensors[place]
    return Progress(
        stage=header.stage,
        step=header.step,
        recipe=header.recipe,
        frozen=header.frozen,
        counts=header.counts,
        patients=header.patients,
        participation=header.participation,
        curves=header.curves,
        keys=header.keys,
        **sections,  # type: ignore[arg-type]
    )


def _checksum(text: str, tensors: State) -> str:
    return hashlib.sha256(f"{text}\n{digest(tensors)}".encode()).hexdigest()
