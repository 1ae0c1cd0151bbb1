"""What is installed: digests of the package's own files and of all distributions, by which installations compare."""

from __future__ import annotations

import hashlib
import re
from functools import cache
from importlib import metadata
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


@cache
def list_distributions() -> tuple[str, ...]:
    """`name==version` of every installed distribution, in order; names as package indexes write them."""
    found = {
        f"{re.sub(r'[-_.]+', '-', one.name).lower()}=={one.version}" for one in metadata.distributions() if one.name
    }
    return tuple(sorted(found))


def compute_distributions_digest() -> str:
    """SHA-256 over the lines of `list_distributions`."""
    return hashlib.sha256("".join(f"{line}\n" for line in list_distributions()).encode()).hexdigest()
