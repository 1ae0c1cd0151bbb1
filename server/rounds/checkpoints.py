"""Checkpoints of a study: one file per round, written atomically; the last two are kept."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass as checked
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from ceus_models.protocol.messages import Recipe
from ceus_models.protocol.state import State, digest
from ceus_models.runtime.errors import ExpectedError
from server.study.participation import Record
from server.study.progress import Point, Progress

VERSION = "1"
KEPT = 2
_PATTERN = re.compile(r"progress-(\d{8})\.safetensors")
_SECTIONS = ("nets", "memory", "totals")
_SEPARATOR = "::"
"""Does not occur in names of stages, nets or parameters."""


@checked(frozen=True)
class _Header:
    """A Progress without its tensors, but with their names in order, which safetensors does not keep."""

    plan: str
    seed: int
    stage: int
    step: int
    recipe: Recipe | None
    frozen: str
    counts: Mapping[str, Mapping[str, int]]
    participation: tuple[Record, ...]
    curves: tuple[Point, ...]
    names: tuple[str, ...]


_HEADER = TypeAdapter(_Header)


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
        files = self._files()
        number = _number(files[-1]) + 1 if files else 1
        path = self.folder / f"progress-{number:08d}.safetensors"
        partial = path.with_suffix(".partial")
        try:
            _write(partial, progress, plan, seed)
            partial.replace(path)
            _sync(self.folder)
        except (OSError, SafetensorError) as error:
            partial.unlink(missing_ok=True)
            cause = getattr(error, "strerror", None) or error
            raise ExpectedError(
                f"the checkpoint cannot be written to {self.folder} ({cause}): make room and start the same command "
                "again; it continues from the last saved round"
            ) from None
        for old in self._files()[:-KEPT]:
            old.unlink()

    def latest(self, plan: str, seed: int) -> Progress | None:
        """Load the newest undamaged progress; None without a checkpoint.

        Raises:
            ExpectedError: if the folder belongs to another plan or seed, or all its files are damaged.
        """
        files = self._files()
        for path in reversed(files):
            try:
                header, tensors = _read(path)
            except _DamagedError:
                continue
            self._refuse_other(header, plan, seed)
            return _progress(header, tensors)
        if files:
            raise ExpectedError(f"{self.folder}: every checkpoint is damaged; delete the folder to start again")
        return None

    def totals(self, plan: str, seed: int) -> Progress | None:
        """Load the newest progress with its totals but without its nets, so without checking the checksum.

        Another process may write at the same time. Raises ExpectedError for another plan or seed, as `latest`.
        """
        for path in reversed(self._files()):
            try:
                with safe_open(path, framework="pt") as file:
                    header = _header(path, file.metadata() or {})
                    names = tuple(name for name in header.names if name.startswith(f"totals{_SEPARATOR}"))
                    tensors = {name: file.get_tensor(name) for name in names}
            except (SafetensorError, OSError):
                continue
            self._refuse_other(header, plan, seed)
            return _progress(replace(header, names=names), tensors)
        return None

    def saved_at(self) -> float:
        """When the newest checkpoint was written, in seconds since 1970; 0 where there is none."""
        for path in reversed(self._files()):
            with suppress(OSError):  # it may just be deleted
                return path.stat().st_mtime
        return 0.0

    def newest(self) -> int:
        """The number of the newest checkpoint, 0 where there is none."""
        return max(map(_number, self._files()), default=0)

    def glance(self) -> Progress | None:
        """Load the newest progress without its tensors, while others may write; None if there is none."""
        for path in reversed(self._files()):
            try:
                with safe_open(path, framework="pt") as file:
                    header = _header(path, file.metadata() or {})
            except (SafetensorError, OSError):
                continue
            return _progress(replace(header, names=()), {})
        return None

    def _files(self) -> list[Path]:
        if not self.folder.is_dir():
            return []
        return sorted(path for path in self.folder.iterdir() if _PATTERN.fullmatch(path.name))

    def _refuse_other(self, header: _Header, plan: str, seed: int) -> None:
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
    tensors = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in _flat(progress).items()}
    header = _Header(
        plan=plan,
        seed=seed,
        stage=progress.stage,
        step=progress.step,
        recipe=progress.recipe,
        frozen=progress.frozen,
        counts=progress.counts,
        participation=progress.participation,
        curves=progress.curves,
        names=tuple(tensors),
    )
    text = _HEADER.dump_json(header).decode()
    save_file(tensors, path, {"fedceus": VERSION, "progress": text, "checksum": _checksum(text, tensors)})
    _sync(path)


def _read(path: Path) -> tuple[_Header, State]:
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    except (SafetensorError, OSError) as error:
        raise _DamagedError(str(error)) from None
    if metadata.get("checksum") != _checksum(metadata.get("progress", ""), tensors):
        raise _DamagedError("the checksum does not match")
    return _header(path, metadata), tensors


def _header(path: Path, metadata: Mapping[str, str]) -> _Header:
    if metadata.get("fedceus") != VERSION:
        raise ExpectedError(f"{path} was written by another version of fedceus; continue with that version")
    try:
        return _HEADER.validate_json(metadata.get("progress", ""))
    except ValidationError as error:
        rule = f"{error.error_count()} errors"
        raise ExpectedError(
            f"{path} was written by another version of fedceus ({rule}); continue with that version"
        ) from None


def _flat(progress: Progress) -> State:
    return {
        _SEPARATOR.join((section, key, name)): tensor
        for section in _SECTIONS
        for key, state in getattr(progress, section).items()
        for name, tensor in state.items()
    }


def _progress(header: _Header, tensors: State) -> Progress:
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
        participation=header.participation,
        curves=header.curves,
        **sections,  # type: ignore[arg-type]
    )


def _checksum(text: str, tensors: State) -> str:
    return hashlib.sha256(f"{text}\n{digest(tensors)}".encode()).hexdigest()


def _number(path: Path) -> int:
    match = _PATTERN.fullmatch(path.name)
    return int(match.group(1)) if match else 0


def _sync(path: Path) -> None:
    """Flush a file, or a folder's entries, to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
