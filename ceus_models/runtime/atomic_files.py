"""Atomic writes of files and folders: whole or not at all, and durable after a power cut."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PRIVATE = 0o600
PUBLIC = 0o644
DRAFT = ".part-"
"""Prefix of the names of unfinished files. They have no suffix, so that `*.safetensors` matches no draft."""


def hand_over(path: Path) -> None:
    """Give a file that root made to the owner of its folder, so that services can read it. Raises OSError."""
    owner = path.parent.stat()
    if os.geteuid() == 0 and owner.st_uid != path.stat().st_uid:
        os.chown(path, owner.st_uid, owner.st_gid)


@contextmanager
def whole_file(path: Path, mode: int = PRIVATE, lasting: bool = True) -> Iterator[Path]:
    """Yield an empty draft, which then replaces the file; after an error the draft is removed.

    Args:
        path: of the file; a reader sees the old content or the new one.
        mode: permissions, 0600 unless others may read it; the file never has wider ones.
        lasting: whether it must be durable after a power cut.

    Raises:
        OSError: the file cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=DRAFT, dir=path.parent)  # mode 0600
    os.close(handle)
    draft = Path(name)
    try:
        yield draft
        draft.chmod(mode)
        hand_over(draft)
        if lasting:
            _sync(draft)
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    if lasting:
        _sync(path.parent)  # else the new name may be lost


def write_whole(path: Path, content: bytes, mode: int = PRIVATE) -> None:
    """Write or replace a file atomically. Raises OSError."""
    with whole_file(path, mode) as draft:
        draft.write_bytes(content)


def write_first(path: Path, content: bytes) -> None:
    """Write a private file atomically unless it exists; of two processes the first wins. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=DRAFT, dir=path.parent) as folder, suppress(FileExistsError):
        draft = Path(folder, path.name)
        write_whole(draft, content)
        os.link(draft, path)


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Yield an empty draft, which then replaces the folder; after an error the draft is removed. Raises OSError.

    One process at a time may write a folder; the next one removes the draft of a killed process.
    """
    draft, old = path.with_name(f"{DRAFT}{path.name}"), path.with_name(f"{DRAFT}old-{path.name}")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    try:
        yield draft
        if path.exists():
            path.replace(old)
        draft.replace(path)
    finally:
        for left in (draft, old):
            shutil.rmtree(left, ignore_errors=True)


def remove_drafts(folder: Path) -> None:
    """Remove unfinished files of a killed process, in a folder where no other process writes."""
    for draft in folder.glob(f"{DRAFT}*"):
        draft.unlink(missing_ok=True)


def end_last_line(path: Path) -> None:
    """Add the line end that is missing after a crash, so that appending begins a new line. Raises OSError."""
    if not path.exists() or not path.stat().st_size:
        return
    with path.open("rb+") as file:
        file.seek(-1, os.SEEK_END)
        if file.read(1) != b"\n":
            file.write(b"\n")


def _sync(path: Path) -> None:
    """Flush a file's content, or a folder's names, to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
