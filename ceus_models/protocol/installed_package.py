"""What is installed: the digest of the package's own files, so that two installations can be compared."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

ROOMS = ("ceus_models", "client", "server", "sim")
_ROOT = Path(__file__).parents[2]


@cache
def compute_package_digest(root: Path = _ROOT) -> str:
    """SHA-256 over names and contents of the installed package's files, without what Python makes of them."""
    sha = hashlib.sha256()
    for path in sorted(path for room in ROOMS for path in (root / room).rglob("*")):
        if path.is_file() and path.suffix != ".pyc":
            content = path.read_bytes()
            sha.update(f"{path.relative_to(root).as_posix()}\n{len(content)}\n".encode() + content)
    return sha.hexdigest()
