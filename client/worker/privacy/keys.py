"""Secret keys of a site: random, made where they are missing, and never sent."""

from __future__ import annotations

import os
from pathlib import Path

from ceus_models.runtime.atomic_files import write_first

KEY_BYTES = 32


def load_key(records: Path, name: str) -> bytes:
    """The key in `<name>.key` of the records' folder, which is made with mode 0600 where it is missing.

    Raises OSError where it cannot be read or written, and ValueError for a file of another length.
    """
    path = records / f"{name}.key"
    if not path.exists():
        write_first(path, os.urandom(KEY_BYTES))
    key = path.read_bytes()
    if len(key) != KEY_BYTES:
        raise ValueError(f"{path.name} must hold {KEY_BYTES} bytes, found {len(key)}; restore it from a backup")
    return key
