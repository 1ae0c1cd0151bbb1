"""Files and folders that appear whole or not at all, and outlast a power cut."""

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
"""Begins the names of what is not finished, which have no ending: who looks for `*.safetensors` finds no draft."""


def hand_over(path: Path) -> None:
    """What root made belongs to whom its folder belongs, so that a command of root locks no service out. OSError."""
    owner = path.parent.stat()
    if os.geteuid() == 0 and owner.st_uid != path.stat().st_uid:
        os.chown(path, owner.st_uid, owner.st_gid)


@contextmanager
def whole_file(path: Path, mode: int = PRIVATE, lasting: bool = True) -> Iterator[Path]:
    """An empty draft to be written, which then replaces the file; after an error there is no draft.

    Args:
        path: Of the file. A reader sees the old content or the new one.
        mode: 0600 unless others may read it. It never has more rights than that, not even for a moment.
        lasting: Whether it must outlast a power cut; what can be made again need not.

    Raises:
        OSError: It cannot be written.
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
    """Write or replace a file, as `whole_file` does."""
    with whole_file(path, mode) as draft:
        draft.write_bytes(content)


def write_first(path: Path, content: bytes) -> None:
    """Make a private file, whole, unless there is one: of two processes the first wins. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=DRAFT, dir=path.parent) as folder, suppress(FileExistsError):
        draft = Path(folder, path.name)
        write_whole(draft, content)
        os.link(draft, path)


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """An empty draft to be filled, which then replaces the folder; after an error there is no draft. Raises OSError.

    One process at a time may write a folder; the draft of one that was killed is removed by the next.
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
    """Remove files that a killed process left unfinished, in a folder where nobody else writes."""
    for draft in folder.glob(f"{DRAFT}*"):
        draft.unlink(missing_ok=True)


def end_last_line(path: Path) -> None:
    """End a line that a crash left half written, so that the next one begins a line of its own. Raises OSError."""
    if not path.exists() or not path.stat().st_size:
        return
    with path.open("rb+") as file:
        file.seek(-1, os.SEEK_END)
        if file.read(1) != b"\n":
            file.write(b"\n")


def _sync(path: Path) -> None:
    """Force a file's content, or the names in a folder, onto the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
