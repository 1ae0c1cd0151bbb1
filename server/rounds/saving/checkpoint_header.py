"""What a checkpoint says of a study beside its tensors, read without torch."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import field
from pathlib import Path

from pydantic import TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass as checked
from safetensors import SafetensorError, safe_open

from ceus_models.plan.progress import CurvePoint
from ceus_models.protocol.messages import Recipe
from ceus_models.runtime.errors import ExpectedError
from server.rounds.saving.participation_table import Participation

VERSION = "4"
"""Version 3 repeated the sites' names in every round."""
_PATTERN = re.compile(r"progress-(\d{8})\.safetensors")


@checked(frozen=True)
class Header:
    """A Progress without its tensors, but with their names in order, which safetensors does not keep."""

    plan: str
    seed: int
    stage: int
    step: int
    recipe: Recipe | None
    frozen: str
    counts: Mapping[str, Mapping[str, int]]
    patients: Mapping[str, Mapping[str, int]]
    participation: Participation
    curves: tuple[CurvePoint, ...]
    names: tuple[str, ...]
    keys: Mapping[str, str] = field(default_factory=dict)


HEADER = TypeAdapter(Header)


def read_newest(folder: Path) -> Header | None:
    """The newest checkpoint's header, read while others write; None where there is none that can be read."""
    for path in reversed(checkpoint_files(folder)):
        try:
            with safe_open(path, framework="numpy") as file:
                return read_header(path, file.metadata() or {})
        except (SafetensorError, OSError):
            continue
    return None


def checkpoint_files(folder: Path) -> list[Path]:
    """A study's checkpoints, the oldest first."""
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if _PATTERN.fullmatch(path.name))


def number_of(path: Path) -> int:
    """The number of a checkpoint, 0 for another file."""
    match = _PATTERN.fullmatch(path.name)
    return int(match.group(1)) if match else 0


def read_header(path: Path, metadata: Mapping[str, str]) -> Header:
    """The header in a file's metadata. Raises ExpectedError for another version's."""
    if metadata.get("fedceus") != VERSION:
        raise ExpectedError(f"{path} was written by another version of fedceus; continue with that version")
    try:
        return HEADER.validate_json(metadata.get("progress", ""))
    except ValidationError as error:
        rule = f"{error.error_count()} errors"
        raise ExpectedError(
            f"{path} was written by another version of fedceus ({rule}); continue with that version"
        ) from None
