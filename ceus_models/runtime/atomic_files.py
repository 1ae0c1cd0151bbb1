"""Small files that appear whole or not at all, and outlast a power cut."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

PRIVATE = 0o600
PUBLIC = 0o644
DRAFT = ".part-"


def hand_over(path: Path) -> None:
    """What root made belongs to whom its folder belongs, so that a command of root locks no service out. OSError."""
    owner = path.parent.stat()
    if os.geteuid() == 0 and owner.st_uid != path.stat().st_uid:
        os.chown(path, owner.st_uid, owner.st_gid)


def write_whole(path: Path, content: bytes, mode: int = PRIVATE) -> None:
    """Write or replace a file; a reader sees the old content or the new one. Raises OSError.

    mode: 0600 unless others may read it. It never has more rights than that, not even for a moment.
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
    """End a line that a crash left half written, so that the next one begins a line of its own. Raises OSError."""
    if not path.exists() or not path.stat().st_size:
        return
    with path.open("rb+") as file:
        file.seek(-1, os.SEEK_END)
        if file.read(1) != b"\n":
            file.write(b"\n")
