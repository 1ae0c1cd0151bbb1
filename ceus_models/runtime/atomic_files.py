"""Atomic writes of files and folders: whole or not at all, and durable after a power cut."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ceus_models.runtime.errors import ExpectedError, is_disk_full

PRIVATE = 0o600
PUBLIC = 0o644
_PRIVATE_FOLDER = 0o700
TEMPORARY_PREFIX = ".part-"
"""Prefix of the names of unfinished files. They have no suffix, so that `*.safetensors` matches no draft."""


def inherit_owner(path: Path) -> None:
    """Give a file that root made to the owner of its folder, so that services can read it. Raises OSError."""
    owner = path.parent.stat()
    if os.geteuid() == 0 and owner.st_uid != path.stat().st_uid:
        os.chown(path, owner.st_uid, owner.st_gid)


def make_private_folder(path: Path, key: str, close: bool = False) -> None:
    """Make a folder that its owner alone can enter, whatever the umask, or see that the one that is there can be used.

    Args:
        path: of the folder; those above it are made too.
        key: the key of site.yaml that names it.
        close: whether others lose their rights to a folder of this user that is there already.

    Raises:
        ExpectedError: it cannot be made, or this user cannot write there; the text names the folder and the key.
        OSError: the disk is full.
    """
    try:
        if not path.is_dir():
            path.mkdir(mode=_PRIVATE_FOLDER, parents=True, exist_ok=True)
            path.chmod(_PRIVATE_FOLDER)  # mkdir lets the umask take more away
            inherit_owner(path)
        elif close and path.stat().st_uid == os.geteuid():
            path.chmod(path.stat().st_mode & _PRIVATE_FOLDER)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        if is_disk_full(error):
            raise
        raise ExpectedError(
            f"the folder {path} cannot be written ({error.strerror}); write another folder under {key} in site.yaml, "
            "or let this user write to it"
        ) from None


@contextmanager
def replace_file(path: Path, mode: int = PRIVATE, lasting: bool = True) -> Iterator[Path]:
    """Yield an empty draft, which then replaces the file; after an error the draft is removed.

    Args:
        path: of the file; a reader sees the old content or the new one.
        mode: permissions, 0600 unless others may read it; the file never has wider ones.
        lasting: whether it must be durable after a power cut.

    Raises:
        OSError: the file cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=TEMPORARY_PREFIX, dir=path.parent)  # mode 0600
    os.close(handle)
    draft = Path(name)
    try:
        yield draft
        draft.chmod(mode)
        inherit_owner(draft)
        if lasting:
            _sync(draft)
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    if lasting:
        _sync(path.parent)  # else the new name may be lost


def write_atomically(path: Path, content: bytes, mode: int = PRIVATE) -> None:
    """Write or replace a file atomically. Raises OSError."""
    with replace_file(path, mode) as draft:
        draft.write_bytes(content)


def write_first(path: Path, content: bytes) -> None:
    """Write a private file atomically unless it exists; of two processes the first wins. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=TEMPORARY_PREFIX, dir=path.parent) as folder, suppress(FileExistsError):
        draft = Path(folder, path.name)
        write_atomically(draft, content)
        os.link(draft, path)


@contextmanager
def replace_folder(path: Path) -> Iterator[Path]:
    """Yield an empty draft, which then replaces the folder; after an error the draft is removed. Raises OSError.

    One process at a time may write a folder; the next one removes the draft of a killed process.
    """
    draft, old = path.with_name(f"{TEMPORARY_PREFIX}{path.name}"), path.with_name(f"{TEMPORARY_PREFIX}old-{path.name}")
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
    for draft in folder.glob(f"{TEMPORARY_PREFIX}*"):
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
