"""Writes what pip needs to install exactly these wheels: name, version and SHA-256 of each.

`python lock_wheels.py WHEELS ROLE` prints requirements for `pip install --require-hashes`; fedceus has the extra ROLE.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path


def lock_wheels(folder: Path, role: str) -> str:
    """One line a wheel, by name. Raises ValueError where two wheels are of one package."""
    locked: dict[str, str] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix != ".whl":
            raise ValueError(f"only wheels are expected in {folder}, found {path.name}")
        distribution, version = path.name.split("-")[:2]
        name = distribution.replace("_", "-").lower()
        if name in locked:
            raise ValueError(f"one wheel a package is expected, found two of {name}; delete one")
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        extra = f"[{role}]" if name == "fedceus" else ""
        locked[name] = f"{name}{extra}=={version} --hash=sha256:{digest}"
    return "\n".join(locked[name] for name in sorted(locked)) + "\n"


if __name__ == "__main__":
    try:
        sys.stdout.write(lock_wheels(Path(sys.argv[1]), sys.argv[2]))
    except ValueError as error:
        sys.exit(f"lock_wheels: {error}")
