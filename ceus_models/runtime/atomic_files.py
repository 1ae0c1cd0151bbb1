"""Atomic writes of small files: whole or not at all, and durable after a power cut."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

PRIVATE = 0o600
PUBLIC = 0o644
DRAFT = ".part-"


def hand_over(path: Path) -> None:
    """Give a file that root made to the owner of its folder, so that services can read it. Raises OSError."""
    owner = path.parent.stat()
    if os.geteuid() == 0 and owner.st_uid != path.stat().st_uid:
        os.chown(path, owner.st_uid, owner.st_gid)


def write_whole(path: Path, content: bytes, mode: int = PRIVATE) -> None:
    """Write or replace a file atomically: a reader sees the old content or the new one.

    Args:
        path: of the file; its folder is made.
        content: of the file.
        mode: permissions, 0600 unless others may read it; the file never has wider ones.

    Raises:
        OSError: the file cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, draft = tempfile.mkstemp(dir=path.parent, prefix=".part-")  # mode 0600
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        hand_over(Path(draft))
        Path(draft).replace(path)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)  # else the new name may be lost
    finally:
        os.close(folder)


def end_last_line(path: Path) -> None:
    """Add the line end that is missing after a crash, so that appending begins a new line. Raises OSError."""
    if not path.exists() or not path.stat().st_size:
        return
    with path.open("rb+") as file:
        file.seek(-1, os.SEEK_END)
        if file.read(1) != b"\n":
            file.write(b"\n")
