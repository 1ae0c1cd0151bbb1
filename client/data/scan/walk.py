"""Walk the folders of an export. What cannot be walked is told by its reason; no file is opened."""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

VANISHED, FORBIDDEN, UNREACHABLE = "vanished", "no permission", "not reachable"
LOOP, SPECIAL = "folder seen before", "no file"


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file of an export.

    Attributes:
        path: As the file system spells it; bytes that are no UTF-8 are surrogates (PEP 383).
        size: Bytes.
        modified_ns: Time of its last change.
    """

    path: str
    size: int
    modified_ns: int


@dataclass(frozen=True, slots=True)
class Unwalked:
    """A path that is no file, or that the system does not let us see. why: a word for the counts."""

    path: str
    why: str


def walk_export(root: Path, left_out: Collection[Path] = ()) -> Iterator[FoundFile | Unwalked]:
    """All files below a folder in the order of their names; links to folders are followed once.

    left_out: folders of our own, resolved, which are not walked.
    """
    ours = {_identify(folder) for folder in left_out if folder.exists()}
    seen: set[tuple[int, int]] = set()
    folders = [str(root)]
    while folders:
        folder = folders.pop()
        try:
            place = _identify(Path(folder))
            if place in ours:
                continue
            if place in seen:
                yield Unwalked(folder, LOOP)
                continue
            seen.add(place)
            with os.scandir(folder) as listed:
                entries = sorted(listed, key=lambda entry: entry.name)
        except OSError as error:
            yield Unwalked(folder, describe_error(error))
            continue
        below: list[str] = []
        for entry in entries:
            found = _look_at(entry)
            if found is None:
                below.append(entry.path)
            else:
                yield found
        folders.extend(reversed(below))


def describe_error(error: OSError) -> str:
    """Why a path cannot be read, in a word for the counts."""
    if isinstance(error, FileNotFoundError):
        return VANISHED
    return FORBIDDEN if isinstance(error, PermissionError) else UNREACHABLE


def _look_at(entry: os.DirEntry[str]) -> FoundFile | Unwalked | None:
    """What an entry is; None for a folder."""
    try:
        state = entry.stat()
    except OSError as error:
        return Unwalked(entry.path, describe_error(error))
    if stat.S_ISDIR(state.st_mode):
        return None
    if not stat.S_ISREG(state.st_mode):
        return Unwalked(entry.path, SPECIAL)  # a pipe would wait for ever
    return FoundFile(entry.path, state.st_size, state.st_mtime_ns)


def _identify(folder: Path) -> tuple[int, int]:
    """Device and number of a folder."""
    state = folder.stat()
    return state.st_dev, state.st_ino
